"""Files that are whole or not there: written beside their place and renamed; JSON; hashes."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from .errors import UserError

# Of images, as Pillow and its plugins read them; and of videos, as PyAV does.
PILLOWS = (
    "jpg jpeg png bmp tif tiff webp ppm pgm jfif jpe jp2 j2k jpx gif apng avif heic heif hif dib ico icns tga pcx pbm "
    "pnm sgi dds xbm psd"
)
FFMPEGS = "mp4 m4v mov avi mkv webm mpg mpeg mpe m2v mts m2ts ts wmv asf flv f4v 3gp 3g2 ogv ogg vob mxf dv y4m"
IMAGE_ENDINGS, VIDEO_ENDINGS = frozenset(PILLOWS.split()), frozenset(FFMPEGS.split())

MOST_LEVELS = 100  # of lists and tables within each other; no file that we read has as many
ASIDE = ".unfinished-"  # before the name, so that nobody who looks for the name finds a half of it


def read_json(path: Path) -> dict[str, Any]:
    """The fields that a file holds. Raises: UserError for a file that is no JSON, or holds no fields."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except RecursionError as error:
        raise UserError(f"{path} is nested too deeply to be read; copy, download or save it again.") from error
    except ValueError as error:
        raise UserError(f"{path} is no JSON ({error}); copy, download or save it again.") from error
    if not isinstance(content, dict):
        raise UserError(
            f"{path} holds no configuration, but a {type(content).__name__}; copy, download or save it again."
        )
    refuse_depths(content, str(path))
    return content


def refuse_depths(content: Mapping[str, Any], where: str) -> None:
    """Raises: UserError for a field with more tables and lists within each other than whatever looks into it takes."""
    for name, value in content.items():
        if nests_deeply(value):
            raise UserError(f"{where}: {name} is nested too deeply to be read; copy, download or save it again.")


def nests_deeply(value: Any) -> bool:
    level = [value]
    for _ in range(MOST_LEVELS):
        level = [
            inner
            for one in level
            if isinstance(one, Mapping | list | tuple)
            for inner in (one.values() if isinstance(one, Mapping) else one)
        ]
        if not level:
            return False
    return True


def places_of_tensors(index: Path) -> dict[str, str]:
    """The name of the file that each tensor lies in. Raises: UserError for an index that does not say it."""
    places = read_json(index).get("weight_map")
    names = isinstance(places, dict) and all(isinstance(name, str) for name in places.values())
    if not places or not names or any(name.endswith(".index.json") for name in places.values()):
        raise UserError(
            f"{index} is no index of shards: its weight_map has to name the file of each tensor. Copy or download it "
            "again."
        )
    return places


def write_json(path: Path, content: Any) -> None:
    """For people too: indented, and with letters of all alphabets as they are."""
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def name_for_others(source: str | Path) -> str:
    """What a card calls a source: a file or folder of this machine by its last part, anything else as it is."""
    path = Path(source).expanduser()
    return path.resolve().name if path.exists() else str(source)


def user_cache() -> Path:
    """Where this user's machine keeps what can be made again."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vit_hf"


def hash_of(file: Path | bytes, kind: Literal["sha256", "git"] = "sha256") -> str:
    """As the Hub names contents: by their SHA-256 where they are large, by git's hash where they are small."""
    if kind == "sha256":
        if isinstance(file, bytes):
            return hashlib.sha256(file).hexdigest()
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    content = file if isinstance(file, bytes) else file.read_bytes()
    return hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()


def flush_to_disk(path: Path) -> None:
    """The bytes of a file, or the names in a folder: a rename must not arrive there before the bytes that it names."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def refuse_no_folder(path: Path, what: str) -> None:
    """Before anything that is to be written there is made. what: it is called, as "training.output_dir".

    Raises: UserError where a file is in the place of the folder or of one above it, or nothing may be written there.
    """
    there = next(one for one in (path.expanduser().absolute(), *path.expanduser().absolute().parents) if one.exists())
    if not there.is_dir():
        raise UserError(f"{what}={path} cannot be a folder: {there} is a file. Name another place, or move the file.")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UserError(f"{what}={path}: you may not write to {there}. Name another place.")


def aside_of(folder: Path) -> Path:
    """Where `written_aside` writes what will be `folder`."""
    return folder.with_name(ASIDE + folder.name)


@contextmanager
def written_aside(folder: Path, *, replace: bool = False) -> Iterator[Path]:
    """A folder beside `folder`, which takes its name once the block has ended well, and is removed if it fails.

    What a killed process left there is overwritten by the next. Two at a time are not kept apart.

    replace: whether a folder of that name with something in it gives way. Raises: OSError where it may not.
    """
    aside = aside_of(folder)
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        yield aside
        if replace and folder.exists():
            shutil.rmtree(folder)
        aside.replace(folder)
        flush_to_disk(folder.parent)
    finally:
        shutil.rmtree(aside, ignore_errors=True)  # nothing is there after the rename


def remove_folder(folder: Path) -> None:
    """Out of sight first, so that a removal that is cut short leaves no half of it under its name."""
    hidden = aside_of(folder)
    shutil.rmtree(hidden, ignore_errors=True)
    folder.rename(hidden)
    shutil.rmtree(hidden, ignore_errors=True)
