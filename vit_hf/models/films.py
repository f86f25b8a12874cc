"""The frames of a video file that PyAV decodes, where it is installed: no more of them than are asked for."""

import io
import struct
import zlib
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from itertools import chain, dropwhile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from .frame_sampling import Timing
from .shapes import UserError

# Not a plain import: transformers would demand it of everyone who loads the code that travels.
av: Any = import_module("av") if find_spec("av") else None

# What decoders raise on broken files.
BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, LookupError, TypeError)
BROKEN += (Image.DecompressionBombError, OverflowError, MemoryError, RuntimeError)
BROKEN += (av.FFmpegError,) if av else ()
# As FFmpeg names the containers in which a time leads to the key frame before it.
MP4, MATROSKA = "mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"
AVI = "avi"  # whose frames come out with other times than they went in
WIDEST_PIXEL = 4  # times as wide as high, or the reverse; whatever is beyond is a mistake in a file


class UnreadableVideo(UserError):
    """A file that is empty, cut off, no video at all, or of a format that nothing installed here reads."""


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


def untouched(image: Any) -> Any:
    return image


class Packet(NamedTuple):
    """An encoded frame: when it is shown and for how long, whether decoding may begin with it, whether it is shown at
    all, and whole."""

    time: int | None
    duration: int
    key: bool
    shown: bool
    whole: bool


class Index(NamedTuple):
    """Where the frames are that decode.

    times: of each when it is shown, in units of the stream; None where only counting leads to one.
    keys: the numbers of those that can be looked for, and begun with. timing: as for any video.
    """

    times: Sequence[int] | None
    keys: Sequence[int]
    timing: Timing


@dataclass(frozen=True)
class Film:
    """A file that PyAV decodes: from the key frame before one that is asked for, where the container leads there.

    What a container says of lengths is a hint: frames are those that decode, from the first key frame on.
    """

    source: Path | bytes
    name: str

    @contextmanager
    def opened(self) -> Iterator[tuple[Any, Any]]:
        """The container, and its stream of pictures."""
        with in_a_sentence(self.name), av.open(readable(self.source)) as container:
            stream = stream_of_pictures(container)
            if stream is None:
                raise UnreadableVideo(f"{self.name}: it has no pictures that PyAV decodes")
            if container.format.name == "tty":
                raise UnreadableVideo(f"{self.name}: it is a text, of which PyAV would draw the letters")
            stream.thread_type = "AUTO"
            yield container, stream

    @cached_property
    def index(self) -> Index:
        with self.opened() as (container, stream):
            packets, end = list[Packet](), 0.0
            for packet in container.demux():
                if packet.pts is not None:
                    end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
                if packet.stream_index == stream.index and packet.size:
                    shown, whole = not packet.is_discard, not packet.is_corrupt
                    packets.append(Packet(packet.pts, packet.duration or 0, packet.is_keyframe, shown, whole))
            kind, tick, rate = container.format.name, float(stream.time_base), float(stream.guessed_rate or 0)
            length, start = (float(each or 0) / av.time_base for each in (container.duration, container.start_time))
        # Matroska's packets end where the file does; a tenth may be an inexact duration. Some say its length from the
        # first frame on, and some from 0.
        missing = length - max(end - start, end)
        if (packets and not packets[-1].whole) or (kind == MATROSKA and missing > (length - max(start, 0)) / 10):
            raise UnreadableVideo(f"{self.name}: it is cut off after {len(packets)} frames")
        return self.index_of(packets, kind, tick, rate)

    def index_of(self, packets: Sequence[Packet], kind: str, tick: float, rate: float) -> Index:
        first = next((place for place, packet in enumerate(packets) if packet.key), 0)
        shown = [packet for packet in packets[first:] if packet.shown]
        times = sorted({packet.time for packet in shown if packet.time is not None})
        if kind == AVI or len(times) < len(shown):
            count = len(shown) if kind == AVI and not first else sum(1 for _ in self.decoded())
            return Index(None, [], Timing(count, rate or None))
        if not shown:
            return Index([], [], Timing(0))
        key = next(packet.time for packet in packets[first:] if packet.key or packet.shown)
        if first or (key is not None and times[0] < key):  # of what comes before the key frame not all may decode
            begin = next((frame.pts for frame in self.decoded()), None)
            times = times[bisect_left(times, begin) :] if begin is not None else []
        last = max((packet.time or 0, packet.duration) for packet in shown)[1]
        timing = Timing.of(np.array(times) * tick, last * tick, exact_to=tick, rate=rate) if times else Timing(0)
        if kind not in (MP4, MATROSKA):
            return Index(times, [], timing)
        known = set(times)
        keys = {bisect_left(times, packet.time) for packet in shown if packet.key and packet.time in known}
        return Index(times, sorted({0, *keys}), timing)

    @property
    def timing(self) -> Timing:
        return self.index.timing

    def __len__(self) -> int:
        return self.timing.count

    def decoded(self) -> Iterator[Any]:
        """All frames, from the first on that is whole."""
        with self.opened() as (container, stream):
            yield from dropwhile(is_corrupt, container.decode(stream))

    def images(self, numbers: Sequence[int], made: Callable[[Image.Image], Any] = untouched) -> list[Any]:
        wanted = sorted(set(numbers))
        found = self.looked_for(wanted, made)
        if found is None:
            found = self.counted(wanted, made)
        return [found[number] for number in numbers]

    def looked_for(
        self, wanted: Sequence[int], made: Callable[[Image.Image], Any] = untouched
    ) -> dict[int, Any] | None:
        """The frames of these numbers, by their times; None where these do not lead to the key frames before them."""
        times, keys, _ = self.index
        if times is None or not keys:
            return None
        found: dict[int, Any] = {}
        with self.opened() as (container, stream):
            as_filmed, frames, coming = upright_and_square(stream), numbered(container.decode(stream), times), 0
            for number in wanted:
                key = keys[bisect_right(keys, number) - 1]
                if key > coming:
                    container.seek(times[key], stream=stream)
                    frames = numbered(container.decode(stream), times)
                    first = next(((place, frame) for place, frame in frames if place >= key), None)
                    if first is None or first[1].pts != times[key] or not first[1].key_frame:
                        return None
                    frames = chain([first], frames)
                found[number] = made(as_filmed(self.frame_of(number, frames)))
                coming = number + 1
        return found

    def counted(self, wanted: Sequence[int], made: Callable[[Image.Image], Any] = untouched) -> dict[int, Any]:
        """The same, from the first frame on."""
        with self.opened() as (container, stream):
            as_filmed, frames = upright_and_square(stream), numbered(container.decode(stream), self.index.times)
            return {number: made(as_filmed(self.frame_of(number, frames))) for number in wanted}

    def frame_of(self, number: int, frames: Iterable[tuple[int, Any]]) -> Any:
        """The next of these frames that has this number, or a later one.

        Raises: UnreadableVideo where there is none, and where it, or one that it builds on, is damaged.
        """
        damaged = False
        for place, frame in frames:
            damaged = frame.is_corrupt or (damaged and not frame.key_frame)
            if place >= number:
                if damaged:
                    raise UnreadableVideo(f"{self.name}: it is damaged at frame {number} of {len(self)}")
                return frame
        raise UnreadableVideo(f"{self.name}: it breaks off before frame {number} of {len(self)}")


def is_corrupt(frame: Any) -> bool:
    return frame.is_corrupt


def numbered(frames: Iterable[Any], times: Sequence[int] | None) -> Iterator[tuple[int, Any]]:
    """Each frame with its number, by its time or, where there are none, by counting from the first that is whole."""
    if times is None:
        yield from enumerate(dropwhile(is_corrupt, frames))
        return
    for frame in frames:
        if frame.pts is not None and frame.pts >= times[0]:
            yield bisect_right(times, frame.pts) - 1, frame


def stream_of_pictures(container: Any) -> Any:
    """The best one that can be decoded, and is no picture of a record's cover; None where there is none."""
    cover = av.stream.Disposition.attached_pic
    for stream in (container.streams.best("video"), *container.streams.video):
        if stream is not None and stream.codec_context is not None and not stream.disposition & cover:
            return stream
    return None


def upright_and_square(stream: Any) -> Callable[[Any], Image.Image]:
    """-> a frame of PyAV, turned as the camera was held, with pixels as wide as high; all of one size, the first's."""
    coded = stream.codec_context
    shape = float(stream.sample_aspect_ratio or coded.sample_aspect_ratio or 1)
    width = round(coded.width * shape) if 1 / WIDEST_PIXEL <= shape <= WIDEST_PIXEL else coded.width
    height = coded.height

    def as_filmed(frame: Any) -> Image.Image:
        image = frame.to_image(width=width, height=height)
        return image.rotate(frame.rotation, expand=True) if frame.rotation else image

    return as_filmed
