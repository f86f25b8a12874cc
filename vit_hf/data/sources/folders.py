"""What lies in a folder, by a plain scan: images or videos, folders of them, and what is passed over."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache, cached_property
from operator import attrgetter
from pathlib import Path

from ...errors import UserError
from ...modality import Modality
from ...models.video_frames import frames_among
from .split_names import composed

# Of files that a data set often holds beside its images; whatever else has no ending of an image is looked into.
OTHER_KINDS = (
    "txt md rst json jsonl ndjson csv tsv xml yaml yml toml html htm pdf db ini log py ipynb npy npz pt pth pkl "
    "safetensors mat parquet arrow feather h5 hdf5 lmdb mdb zip tar gz tgz bz2 xz 7z rar doc docx xls xlsx ppt pptx "
    "xmp aae thm lnk url tmp part crdownload sh bat exe dll so mp3 wav flac srt vtt"
)
OTHER_ENDINGS = frozenset(OTHER_KINDS.split())
# Folders of other programs.
FOREIGN = frozenset(["__MACOSX", "__pycache__", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "lost+found"])
BEGINNINGS = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"P5", b"P6", b"\0\0\0\x0cjP")
BY_NAME = attrgetter("name")


def suffix_of(name: str) -> str:
    """a.tar.GZ -> gz; an empty text where there is none"""
    return name.rpartition(".")[2].lower() if "." in name else ""


def begins_as(path: str, modality: Modality) -> bool:
    """Whether a file whose name does not say so begins as an image or a video does."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 (a million paths would take a second)
            start = file.read(16)
    except OSError:
        return False
    if start.startswith(BEGINNINGS) or start[8:12] == b"WEBP":
        return True
    is_still = start[8:12] in (b"avif", b"avis", b"heic", b"heix", b"mif1")
    if start[4:8] == b"ftyp" and is_still:
        return True
    is_film = start[4:8] == b"ftyp" or start[8:12] == b"AVI " or start.startswith((b"\x1aE\xdf\xa3", b"FLV", b"OggS"))
    return is_film and "mp4" in modality.endings


@dataclass
class Folder:
    """content: the items and folders in it, sorted by name. As texts: a million paths would take a gigabyte.

    others: the files that are passed over. are_one: whether the items are one video together, frame by frame.
    mixed: whether there are images among films, so that nobody knows whether they are frames.
    """

    path: str
    name: str
    content: list["str | Folder"] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    folders: list["Folder"] = field(default_factory=list)
    are_one: bool = False
    mixed: bool = False

    @cached_property
    def count(self) -> int:
        """Items in it and below."""
        files = len(self.content) - len(self.folders)
        return files + sum(1 if folder.are_one else folder.count for folder in self.folders)

    @cached_property
    def filled(self) -> list["Folder"]:
        """The folders in it that hold items."""
        return [folder for folder in self.folders if folder.count]

    @property
    def items_here(self) -> list[str]:
        """Items that lie in the folder itself."""
        return [one for one in self.content if isinstance(one, str)]

    def mixed_ones(self) -> Iterator["Folder"]:
        """Folders, here and below, in which images lie among films."""
        if self.mixed:
            yield self
        for folder in self.folders:
            yield from folder.mixed_ones()

    @property
    def loose(self) -> int:
        """Items that lie in no folder in it."""
        return len(self.content) - len(self.folders)

    @cached_property
    def nested(self) -> bool:
        """Whether folders with items of their own lie in it, and not items alone."""
        return any(not folder.are_one for folder in self.filled)

    def items(self) -> list[str]:
        """All, in folders below too, in the order of their names."""
        if not self.folders:
            return self.content  # pyright: ignore[reportReturnType]
        found = []
        for one in self.content:
            if isinstance(one, str):
                found.append(one)
            else:
                found += [one.path] if one.are_one else one.items()
        return found

    def named_items(self, above: str = "") -> Iterator[tuple[str, str]]:
        """-> the path of each item in this folder, by the names of the folders on the way, and its path"""
        for one in self.content:
            if isinstance(one, str):
                yield above + os.path.basename(one), one  # noqa: PTH119
            elif one.are_one:
                yield above + one.name, one.path
            else:
                yield from one.named_items(f"{above}{one.name}/")

    def other_files(self) -> list[str]:
        """What is passed over, here and below."""
        found = [*self.others]
        for folder in self.folders:
            found += folder.other_files()
        return found

    @property
    def is_bare(self) -> bool:
        """Whether there is nothing in it that tells what it is for: no item, nor a file of another known kind."""
        others = self.other_files()
        return not self.count and not (others and all(suffix_of(name) in OTHER_ENDINGS for name in others))


@cache
def quick_endings(modality: Modality) -> frozenset[str]:
    """Four letters that names of items commonly end with: .jpg, .JPG"""
    dotted = [f".{ending}" for ending in modality.endings if len(ending) == 3]
    return frozenset([*dotted, *(ending.upper() for ending in dotted)])


def scan(
    path: str, modality: Modality, above: tuple[tuple[int, int], ...] = (), *, frames: str | None = None
) -> Folder:
    """A folder with all that is below; what begins with a dot belongs to the file system.

    above: the folders around it, into which no link leads back. frames: which files of a folder are those of one video.
    Raises: UserError for a folder that may not be read.
    """
    try:
        with os.scandir(path) as found:
            entries = sorted(found, key=BY_NAME)
    except OSError as error:
        raise UserError(f"The folder {path} cannot be read ({error.strerror}); see to it that you may.") from error
    folder = Folder(path, composed(os.path.basename(path)))  # noqa: PTH119
    content, others, endings = folder.content, folder.others, quick_endings(modality)
    around: tuple[tuple[int, int], ...] = ()
    for entry in entries:
        name = entry.name
        if name[0] == ".":
            continue
        if entry.is_dir():
            around = around or (*above, identity_of(path))
            if name in FOREIGN or (entry.is_symlink() and identity_of(entry.path) in around):
                continue
            below = scan(entry.path, modality, around, frames=frames)
            content.append(below)
            folder.folders.append(below)
        elif name[-4:] in endings or is_file_of(entry.path, modality):
            content.append(entry.path)
        else:
            others.append(entry.path)
    if frames is not None:
        keep_frames(folder, modality, frames)
    elif not folder.folders and content:
        folder.are_one = modality.are_one(content)
        folder.mixed = not folder.are_one and any(modality.are_one([path]) for path in content)
    return folder


def keep_frames(folder: Folder, modality: Modality, pattern: str) -> None:
    """Of a folder's files those that match are one video; images that do not are passed over."""
    files = {os.path.basename(path): path for path in [*folder.items_here, *folder.others]}  # noqa: PTH119
    found = {files[name] for name in frames_among(files, pattern)} if not folder.folders else set()
    passed = {path for path in folder.items_here if found or modality.are_one([path])} - found
    folder.others[:] = sorted({*folder.others, *passed} - found)
    kept = [one for one in folder.content if isinstance(one, Folder) or one not in passed]
    folder.content[:] = sorted(found) if found else kept
    folder.are_one = bool(found)


def identity_of(path: str) -> tuple[int, int]:
    about = os.stat(path)  # noqa: PTH116
    return about.st_dev, about.st_ino


def is_file_of(path: str, modality: Modality) -> bool:
    """Whether a file is an image, or a video: by its ending, or else by its first bytes. A broken one still is."""
    ending = suffix_of(path)
    return ending in modality.endings or (ending not in OTHER_ENDINGS and begins_as(path, modality))


def items_under(folder: str | Path, modality: Modality, frames: str | None = None) -> list[str]:
    """Every visible item, in subfolders too; of a folder that is one video itself."""
    found = scan(str(folder), modality, frames=frames)
    return [found.path] if found.are_one else found.items()


def items_of_folder(folder: str, modality: Modality) -> list[str]:
    """The visible items in a folder itself."""
    with os.scandir(folder) as found:
        files = sorted(entry.path for entry in found if entry.name[0] != "." and entry.is_file())
    return [path for path in files if is_file_of(path, modality)]


def holds_items_of_one(folder: Path | os.DirEntry[str], modality: Modality) -> bool:
    """Whether a folder is one item: a video, of which its images are the frames, beside files of other kinds."""
    with os.scandir(folder) as found:
        visible = [entry for entry in found if entry.name[0] != "."]
    items = [entry.path for entry in visible if entry.is_dir() or is_file_of(entry.path, modality)]
    return bool(items) and not any(entry.is_dir() for entry in visible) and modality.are_one(items)
