"""A video of which no frame is decoded yet: what pictures are to images."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image

from ...models.films import av, untouched
from ...models.frame_sampling import Timing, uniform_frames
from ...models.video_frames import STILLS, FrameFolder, UnreadableVideo, Video, open_video
from .files import USUAL_READING, Reading, UnreadableImage
from .images import OpenPicture, Picture, StoredPicture, open_picture
from .resize import resize


class Footage(Protocol):
    """Frames that are numbered from 0."""

    @property
    def timing(self) -> Timing:
        """How many there are, and when they are shown."""
        ...

    def __len__(self) -> int: ...

    def pictures(self, numbers: Sequence[int], made: Callable[[Any], Any] = untouched) -> list[Any]:
        """The frames of these numbers, in any order and as often as they are asked for; of each what `made` makes of
        it, so that no more than one is held where that is small."""
        ...


@contextmanager
def as_an_image() -> Iterator[None]:
    """What cannot be read of a video, as of an image."""
    try:
        yield
    except UnreadableVideo as error:
        raise UnreadableImage(str(error)) from error


@dataclass(frozen=True)
class ResizedPicture:
    """A frame that is not as large as the first of its video."""

    picture: Picture
    size: tuple[int, int]

    def pixels(self, channels: int, factor: int = 1) -> np.ndarray:
        resized = resize(self.picture.pixels(channels), *self.size, Image.Resampling.BICUBIC)
        return resized.permute(1, 2, 0).numpy()


@dataclass(frozen=True)
class FolderFootage:
    """A folder of images, which are decoded as images are."""

    folder: FrameFolder
    reading: Reading = USUAL_READING

    @property
    def timing(self) -> Timing:
        return self.folder.timing

    def __len__(self) -> int:
        return len(self.folder)

    def picture(self, number: int) -> Picture:
        file = self.folder.files[number]
        picture = open_picture(file, str(file), self.reading)
        height, width = picture.size
        with as_an_image():
            size = self.folder.other_size(width, height)
        return picture if size is None else ResizedPicture(picture, (size[1], size[0]))

    def pictures(self, numbers: Sequence[int], made: Callable[[Any], Any] = untouched) -> list[Any]:
        found = {number: made(self.picture(number)) for number in set(numbers)}
        return [found[number] for number in numbers]


@dataclass(frozen=True)
class FileFootage:
    """A file that Pillow or PyAV decodes."""

    video: Video

    @property
    def timing(self) -> Timing:
        with as_an_image():
            return self.video.timing

    def __len__(self) -> int:
        return len(self.video)

    def pictures(self, numbers: Sequence[int], made: Callable[[Any], Any] = untouched) -> list[Any]:
        with as_an_image():
            return self.video.images(numbers, lambda image: made(OpenPicture(image)))


@dataclass(frozen=True)
class ArrayFootage:
    """Grays or colors in memory."""

    frames: np.ndarray  # t h w c, bytes, of 1 or 3 channels

    @property
    def timing(self) -> Timing:
        return Timing(len(self))

    def __len__(self) -> int:
        return len(self.frames)

    def pictures(self, numbers: Sequence[int], made: Callable[[Any], Any] = untouched) -> list[Any]:
        frames = self.frames[..., 0] if self.frames.shape[-1] == 1 else self.frames
        return [made(OpenPicture(Image.fromarray(frames[number]))) for number in numbers]


@dataclass(frozen=True)
class StoredFootage:
    """Frames that are prepared already."""

    stored: np.ndarray  # t h w c, bytes

    @property
    def timing(self) -> Timing:
        return Timing(len(self))

    def __len__(self) -> int:
        return len(self.stored)

    def pictures(self, numbers: Sequence[int], made: Callable[[Any], Any] = untouched) -> list[Any]:
        return [made(StoredPicture(self.stored[number])) for number in numbers]


def some_frames(footage: Footage, count: int) -> list[Image.Image]:
    """In color, evenly over the video, for people to look at."""
    numbers = uniform_frames(footage.timing, count, 0.5).tolist()
    return [Image.fromarray(picture.pixels(3)) for picture in footage.pictures(numbers)]


WILD = re.compile(r"(\*|\?|\[!?\]?[^\]]*\])")  # of a pattern of file names: anything, any letter, one of some


def frame_name(pattern: str | None, number: int) -> str | None:
    """How to call this frame of a video, so that the pattern takes it; None where it has no name for so many."""
    parts = WILD.split(pattern or "*.png")
    wild = {place: part for place, part in enumerate(parts) if place % 2}
    filled = {place: "" if part == "*" else "0" if part[:2] in ("?", "[!") else part[1] for place, part in wild.items()}
    if stars := [place for place, part in wild.items() if part == "*"]:
        filled[stars[-1]] = f"{number:03d}"
    else:
        places = [place for place, part in wild.items() if fnmatch("0", part)]
        digits = f"{number:0{len(places)}d}" if places or number else ""
        if len(digits) > len(places):
            return None
        filled |= zip(places, digits, strict=True)
    name = "".join(filled.get(place, part) for place, part in enumerate(parts))
    return name if pattern is None or fnmatch(name, pattern) else None


def write_frames(pictures: Sequence[Picture], folder: Path, pattern: str | None) -> Path:
    """A folder of frames in color, those that the pattern has names for."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, picture in enumerate(pictures):
        if (name := frame_name(pattern, number)) is not None:
            kind = None if name.lower().endswith(STILLS) else "PNG"
            Image.fromarray(picture.pixels(3)).save(folder / name, kind)
    return folder


FILM_RATE = 4  # frames a second, slow enough to see each of a clip's few


def write_film(pictures: Sequence[Picture], path: Path) -> Path | None:
    """An MP4 of frames, which browsers play; None where PyAV is not installed."""
    if av is None:
        return None
    frames = [picture.pixels(3) for picture in pictures]
    # Colors are kept for two by two pixels.
    height, width = (side + side % 2 for side in frames[0].shape[:2])
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=FILM_RATE, options={"crf": "10"})
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        for frame in frames:
            border = ((0, height - frame.shape[0]), (0, width - frame.shape[1]), (0, 0))
            whole = np.pad(frame, border, mode="edge")
            container.mux(stream.encode(av.VideoFrame.from_ndarray(whole, format="rgb24")))
        container.mux(stream.encode())
    return path


def open_footage(source: Path | bytes | np.ndarray, name: str, reading: Reading = USUAL_READING) -> Footage:
    """A folder of frames, a file, the bytes of one, or an array t h w c.

    Raises: UnreadableImage. Files may turn out to be broken only when their frames are wanted.
    """
    if isinstance(source, np.ndarray):
        return ArrayFootage(source)
    with as_an_image():
        video = open_video(source, name, reading.frames)
    return FolderFootage(video, reading) if isinstance(video, FrameFolder) else FileFootage(video)
