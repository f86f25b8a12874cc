"""The frames of a video, of which no more are decoded than are asked for: those of a folder of images, of an animation
that Pillow reads (GIF, WebP, APNG), or of a file that PyAV does where it is installed, and else torchcodec."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fnmatch import fnmatch
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image, UnidentifiedImageError

from .films import Film, UnreadableVideo, av, in_a_sentence, readable, untouched
from .frame_sampling import Timing
from .image_files import upright
from .torchcodec_films import TorchcodecFilm, decoders_of_torchcodec

MODES = {1: "L", 3: "RGB", 4: "RGBA"}  # as Pillow names colors, by the number of channels
STILLS = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm")
UNSAID = 100  # milliseconds that a frame of an animation is shown, where it says none: as browsers do


class Video(Protocol):
    """Frames that are numbered from 0."""

    @property
    def timing(self) -> Timing:
        """How many there are, and when they are shown."""
        ...

    def __len__(self) -> int: ...

    def images(self, numbers: Sequence[int], made: Callable[[Image.Image], Any] = untouched) -> list[Any]:
        """The frames of these numbers, upright, in any order and as often as they are asked for; of each what `made`
        makes of it, so that no more than one is held where that is small."""
        ...


def frames_among(names: Iterable[str], pattern: str | None = None) -> list[str]:
    """Which files of a folder are frames of one video: the visible ones that are images by their endings, or those that
    match the pattern (img_*.jpg)."""
    visible = (name for name in names if not name.startswith("."))
    if pattern is not None:
        return [name for name in visible if fnmatch(name, pattern)]
    return [name for name in visible if name.lower().endswith(STILLS)]


def in_natural_order(names: Sequence[str]) -> list[str]:
    """2.png before 10.png, 1.9.png before 1.10.png, and seconds such as 0.25.png before 0.5.png.

    A point lies within a number where none of them ends as no fraction does, in a 0 (0.10) beside shorter ones.
    """
    stems = {name: name.rpartition(".")[0] or name for name in names}
    fractions = {part for stem in stems.values() for part in re.findall(r"(?<![\d.])\d+\.(\d+)(?![\d.])", stem)}
    alike = len({len(part) for part in fractions}) < 2
    counted = not alike and any(len(part) > 1 and part.endswith("0") for part in fractions)
    number = re.compile(r"(\d+)" if counted else r"((?<![\d.])\d+\.\d+(?![\d.])|\d+)")

    def key(name: str) -> tuple[list, str]:
        parts = number.split(stems[name])
        return [Decimal(part) if place % 2 else part for place, part in enumerate(parts)], name

    return sorted(names, key=key)


def frame_files(folder: Path, pattern: str | None = None) -> list[Path]:
    """The frames in a folder, in the order of their numbers."""
    found = frames_among((path.name for path in folder.iterdir() if path.is_file()), pattern)
    return [folder / name for name in in_natural_order(found)]


@dataclass(frozen=True)
class FrameFolder:
    """A folder of images, one for each frame. All become as large as the first."""

    files: Sequence[Path]

    def __len__(self) -> int:
        return len(self.files)

    @property
    def timing(self) -> Timing:
        return Timing(len(self))

    @cached_property
    def header(self) -> tuple[int, int]:
        """Width and height that the first file's begins with, which may lie on its side."""
        with in_a_sentence(str(self.files[0])), Image.open(self.files[0]) as image:
            return image.size

    @cached_property
    def first(self) -> tuple[int, int]:
        """Width and height of the first frame."""
        return self.frame(0).size

    def other_size(self, width: int, height: int) -> tuple[int, int] | None:
        """The size that a frame of this one takes; None where it is the first's."""
        same = (width, height) == self.header or (width, height) == self.first
        return None if same else self.first

    def frame(self, number: int) -> Image.Image:
        with in_a_sentence(str(self.files[number])), Image.open(self.files[number]) as image:
            image.load()
            return upright(image)

    def images(self, numbers: Sequence[int], made: Callable[[Image.Image], Any] = untouched) -> list[Any]:
        found = {}
        for number in sorted(set(numbers)):
            image = self.frame(number)
            size = self.other_size(*image.size)
            found[number] = made(image if size is None else image.resize(size))
        return [found[number] for number in numbers]


@dataclass(frozen=True)
class Animation:
    """Whatever Pillow opens; an image that stands still is a video of one frame."""

    source: Path | bytes
    name: str
    count: int

    def __len__(self) -> int:
        return self.count

    @property
    def timing(self) -> Timing:
        return self.found_timing

    @cached_property
    def found_timing(self) -> Timing:
        """As the file says of each frame how long it is shown, for which Pillow decodes it."""
        if self.count == 1:
            return Timing(1)
        lengths = []
        with in_a_sentence(self.name), Image.open(readable(self.source)) as image:
            for number in range(self.count):
                image.seek(number)
                image.load()
                lengths.append(float(image.info.get("duration") or UNSAID) / 1000)
        starts = np.concatenate([[0.0], np.cumsum(lengths)])
        return Timing.of(starts[:-1], lengths[-1], exact_to=1e-6)

    def images(self, numbers: Sequence[int], made: Callable[[Image.Image], Any] = untouched) -> list[Any]:
        found = {}
        with in_a_sentence(self.name), Image.open(readable(self.source)) as image:
            for number in sorted(set(numbers)):
                image.seek(number)
                found[number] = made(upright(image.copy()))
        return [found[number] for number in numbers]


def open_video(source: Path | bytes, name: str | None = None, frames: str | None = None) -> Video:
    """A folder of frames, a file, or the bytes of one. frames: as `frames_among`, which files of a folder are some.

    Raises: UnreadableVideo, with the reason.
    """
    name = name or (str(source) if isinstance(source, Path) else f"a video of {len(source):,} bytes")
    video = open_any(source, name, frames)
    if not len(video):
        hint = f" ({frames or ', '.join(STILLS)})" if isinstance(video, FrameFolder) else ""
        raise UnreadableVideo(f"{name}: it holds no frames{hint}")
    return video


def open_any(source: Path | bytes, name: str, frames: str | None) -> Video:
    if isinstance(source, Path):
        if not source.exists():
            raise UnreadableVideo(f"{name}: it does not exist")
        if source.is_dir():
            return FrameFolder(frame_files(source, frames))
    if not (len(source) if isinstance(source, bytes) else source.stat().st_size):
        raise UnreadableVideo(f"{name}: it is empty")
    try:
        with in_a_sentence(name), Image.open(readable(source)) as image:
            if image.format != "MPEG":  # of which Pillow reads no more than the size
                return Animation(source, name, getattr(image, "n_frames", 1))
    except UnreadableVideo as error:
        if not isinstance(error.__cause__, UnidentifiedImageError):
            raise
    if av is not None:
        return Film(source, name)
    if decoders_of_torchcodec() is not None:
        return TorchcodecFilm(source, name)
    raise UnreadableVideo(
        f"{name}: Pillow does not know it; for other videos than folders of frames, GIF, WebP and APNG install "
        "PyAV: pip install av"
    )
