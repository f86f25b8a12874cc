"""The frames of a video, of which no more are decoded than are asked for: those of a folder of images, of an animation
that Pillow reads (GIF, WebP, APNG), or of a file that PyAV does where it is installed."""

import io
import re
import struct
import zlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from itertools import chain
from numbers import Integral
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, get_args

import numpy as np
from PIL import Image, UnidentifiedImageError

from .image_files import upright
from .shapes import UserError

# Not a plain import: transformers would demand it of everyone who loads the code that travels.
av: Any = import_module("av") if find_spec("av") else None

# What decoders raise on broken files.
BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, LookupError, TypeError)
BROKEN += (Image.DecompressionBombError, OverflowError, MemoryError, RuntimeError)
BROKEN += (av.FFmpegError,) if av else ()
# As FFmpeg names the containers that say of each frame when it is shown, so that a place in them can be found.
MP4, MATROSKA = "mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"
MODES = {1: "L", 3: "RGB", 4: "RGBA"}  # as Pillow names colors, by the number of channels
STILLS = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm")


class UnreadableVideo(UserError):
    """A file that is empty, cut off, no video at all, or of a format that nothing installed here reads."""


class Video(Protocol):
    """Frames that are numbered from 0."""

    def __len__(self) -> int: ...

    def images(self, numbers: Sequence[int]) -> list[Image.Image]:
        """The frames of these numbers, upright, in any order and as often as they are asked for."""
        ...


@contextmanager
def in_a_sentence(name: str):
    """What a decoder stumbles over, as `UnreadableVideo` that names the file."""
    try:
        yield
    except UnreadableVideo:
        raise
    except BROKEN as error:
        reason = getattr(error, "strerror", None) or error
        raise UnreadableVideo(f"{name}: {type(error).__name__}: {reason}") from error


def readable(source: Path | bytes) -> Any:
    """What Pillow and PyAV open; absolute, for FFmpeg takes what stands before a colon for a protocol."""
    return io.BytesIO(source) if isinstance(source, bytes) else str(source.absolute())


def natural(path: Path) -> tuple[list, str]:
    """Sorts frame_2 before frame_10."""
    parts = re.split(r"(\d+)", path.name)
    return [int(part) if place % 2 else part for place, part in enumerate(parts)], path.name


def frame_files(folder: Path) -> list[Path]:
    """The visible images in a folder, in the order of their numbers."""
    visible = (path for path in folder.iterdir() if not path.name.startswith("."))
    return sorted((path for path in visible if path.suffix.lower() in STILLS and path.is_file()), key=natural)


@dataclass(frozen=True)
class FrameFolder:
    """A folder of images, one for each frame."""

    files: Sequence[Path]

    def __len__(self) -> int:
        return len(self.files)

    def images(self, numbers: Sequence[int]) -> list[Image.Image]:
        found = {}
        for number in sorted(set(numbers)):
            with in_a_sentence(str(self.files[number])), Image.open(self.files[number]) as image:
                image.load()
                found[number] = upright(image)
        return [found[number] for number in numbers]


@dataclass(frozen=True)
class Animation:
    """Whatever Pillow opens; an image that stands still is a video of one frame."""

    source: Path | bytes
    name: str
    count: int

    def __len__(self) -> int:
        return self.count

    def images(self, numbers: Sequence[int]) -> list[Image.Image]:
        found = {}
        with in_a_sentence(self.name), Image.open(readable(self.source)) as image:
            for number in sorted(set(numbers)):
                image.seek(number)
                found[number] = upright(image.copy())
        return [found[number] for number in numbers]


class Packet(NamedTuple):
    """An encoded frame: when it is shown, whether decoding may begin with it, whether it is shown at all, and whole."""

    time: int | None
    key: bool
    shown: bool
    whole: bool


@dataclass(frozen=True)
class Film:
    """A file that PyAV decodes: from the key frame before one that is asked for, where the container leads there."""

    source: Path | bytes
    name: str

    @contextmanager
    def opened(self) -> Iterator[tuple[Any, Any]]:
        """The container, and its stream of pictures."""
        with in_a_sentence(self.name), av.open(readable(self.source)) as container:
            stream = container.streams.best("video")
            if stream is None or stream.codec_context is None:
                raise UnreadableVideo(f"{self.name}: it has no pictures that PyAV decodes")
            if container.format.name == "tty":
                raise UnreadableVideo(f"{self.name}: it is a text, of which PyAV would draw the letters")
            yield container, stream

    @cached_property
    def times(self) -> tuple[Sequence[int], Sequence[int]]:
        """When each frame is shown, in units of the stream, and the numbers that can be begun with; none is decoded.

        Of the latter there are none where the times cannot be relied on, which then are no more than numbers.
        """
        with self.opened() as (container, stream):
            packets, end = list[Packet](), 0.0
            for packet in container.demux():
                if packet.pts is not None:
                    end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
                if packet.stream_index == stream.index and packet.size:
                    packets.append(Packet(packet.pts, packet.is_keyframe, not packet.is_discard, not packet.is_corrupt))
            kind, length = container.format.name, (container.duration or 0) / av.time_base
            missing = length - end + (container.start_time or 0) / av.time_base
        # Matroska's packets end where the file does; a tenth may be an inexact duration.
        if (packets and not packets[-1].whole) or (kind == MATROSKA and missing > length / 10):
            raise UnreadableVideo(f"{self.name}: it is cut off after {len(packets)} frames")
        shown = [packet for packet in packets if packet.shown]
        times = sorted({packet.time for packet in shown if packet.time is not None})
        if kind not in (MP4, MATROSKA) or len(times) < len(shown):
            return range(len(shown)), []
        return times, sorted(
            {0, *(bisect_left(times, packet.time) for packet in shown if packet.key and packet.time is not None)}
        )

    def __len__(self) -> int:
        return len(self.times[0])

    def images(self, numbers: Sequence[int]) -> list[Image.Image]:
        found = self.looked_for(sorted(set(numbers)))
        if found is None:
            found = self.counted(set(numbers))
        return [found[number] for number in numbers]

    def looked_for(self, wanted: Sequence[int]) -> dict[int, Image.Image] | None:
        """The frames of these numbers, by their times; None where these do not lead to the key frames before them."""
        shown, keys = self.times
        found: dict[int, Image.Image] = {}
        if not keys:
            return None
        with self.opened() as (container, stream):
            stream.thread_type = "AUTO"
            frames, coming = container.decode(stream), 0
            for number in wanted:
                key = keys[bisect_right(keys, number) - 1]
                if key > coming:
                    container.seek(shown[key], stream=stream)
                    frames = container.decode(stream)
                    first = next((frame for frame in frames if frame.pts is None or frame.pts >= shown[key]), None)
                    if first is None or first.pts != shown[key] or not first.key_frame:
                        return None
                    frames = chain([first], frames)
                frame = next((frame for frame in frames if frame.pts is not None and frame.pts >= shown[number]), None)
                if frame is None:
                    raise UnreadableVideo(f"{self.name}: it breaks off before frame {number} of {len(shown)}")
                found[number], coming = as_filmed(frame), number + 1
        return found

    def counted(self, wanted: set[int]) -> dict[int, Image.Image]:
        """The frames of these numbers, counted from the first."""
        found: dict[int, Image.Image] = {}
        with self.opened() as (container, stream):
            stream.thread_type = "AUTO"
            for number, frame in enumerate(container.decode(stream)):
                if number in wanted:
                    found[number] = as_filmed(frame)
                if len(found) == len(wanted):
                    return found
        raise UnreadableVideo(f"{self.name}: it breaks off before frame {max(wanted)} of {len(self)}")


def as_filmed(frame: Any) -> Image.Image:
    """A frame of PyAV, turned as the camera was held."""
    image = frame.to_image()
    return image.rotate(frame.rotation, expand=True) if frame.rotation else image


def open_video(source: Path | bytes, name: str | None = None) -> Video:
    """A folder of frames, a file, or the bytes of one.

    Raises: UnreadableVideo, with the reason.
    """
    name = name or (str(source) if isinstance(source, Path) else f"a video of {len(source):,} bytes")
    video = open_any(source, name)
    if not len(video):
        hint = f" ({', '.join(STILLS)})" if isinstance(video, FrameFolder) else ""
        raise UnreadableVideo(f"{name}: it holds no frames{hint}")
    return video


def open_any(source: Path | bytes, name: str) -> Video:
    if isinstance(source, Path):
        if not source.exists():
            raise UnreadableVideo(f"{name}: it does not exist")
        if source.is_dir():
            return FrameFolder(frame_files(source))
    if not (len(source) if isinstance(source, bytes) else source.stat().st_size):
        raise UnreadableVideo(f"{name}: it is empty")
    try:
        with in_a_sentence(name), Image.open(readable(source)) as image:
            if image.format != "MPEG":  # of which Pillow reads no more than the size
                return Animation(source, name, getattr(image, "n_frames", 1))
    except UnreadableVideo as error:
        if not isinstance(error.__cause__, UnidentifiedImageError):
            raise
    if av is None:
        raise UnreadableVideo(
            f"{name}: Pillow does not know it; for other videos than folders of frames, GIF, WebP and APNG install "
            "PyAV: pip install av"
        )
    return Film(source, name)


Sampling = Literal["uniform", "dense"]


def uniform_frames(count: int, frames: int, place: float) -> np.ndarray:
    """-> t: a frame of each of `frames` equal parts of a video of `count`, at the same place (0 to 1) in its part.

    A video of fewer frames shows some of them several times.
    """
    return np.minimum(((np.arange(frames) + place) * count / frames).astype(np.int64), count - 1)


def dense_frames(count: int, frames: int, rate: int, place: float) -> np.ndarray:
    """-> t: frames evenly over a part of frames · rate frames, which begins where `place` (0 to 1) says.

    A video that is too short shows its last frame on. Source: facebookresearch/TimeSformer, released code.
    """
    last = frames * rate - 1
    start = place * max(count - 1 - last, 0)
    return np.minimum(np.linspace(start, start + last, frames).astype(np.int64), count - 1)


def frames_of_clip(count: int, frames: int, sampling: Sampling, rate: int, place: float = 0.5) -> list[int]:
    """-> t: as `choose_frames`; but a video of just as many frames as a clip has is the clip."""
    return list(range(count)) if count == frames else choose_frames(count, frames, sampling, rate, place).tolist()


def choose_frames(count: int, frames: int, sampling: Sampling, rate: int, place: float = 0.5) -> np.ndarray:
    """-> t: the numbers of the frames of a clip, of a video of `count` frames.

    sampling: "uniform", over the whole video, or "dense", of a part of it with a frame in `rate`. place: from 0 to 1,
    which of all such clips; the middle one where it is not said.

    Raises: UserError for another word, and for numbers that choose nothing.
    """
    if sampling not in get_args(Sampling):
        raise UserError(f"sampling={sampling!r} is none of {', '.join(get_args(Sampling))}.")
    if not all(isinstance(number, Integral) and number >= 1 for number in (frames, rate)):
        raise UserError(f"num_frames={frames!r} and sampling_rate={rate!r} must be whole numbers, 1 or more.")
    if sampling == "uniform":
        return uniform_frames(count, frames, place)
    return dense_frames(count, frames, rate, place)
