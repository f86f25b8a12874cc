"""The frames of a film that torchcodec decodes, where PyAV is not installed.

PyAV comes first, for it alone says which frames are damaged, gives all times without decoding, and reads AVI, transport
streams and what begins between key frames. Of a whole film in MP4, Matroska or WebM both give the same pixels.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from .films import WIDEST_PIXEL, UnreadableVideo, in_a_sentence, untouched
from .frame_sampling import Timing

PROBED = 5  # frames whose times tell whether all are even
EXACT = 0.001  # seconds, to which Matroska rounds times


@cache
def decoders_of_torchcodec() -> Any:
    """torchcodec's module of decoders; None where it is not installed, or does not find the libraries of FFmpeg."""
    if not find_spec("torchcodec"):
        return None
    try:
        return import_module("torchcodec.decoders")
    except (ImportError, OSError, RuntimeError):
        return None


@dataclass(frozen=True)
class TorchcodecFilm:
    """A file that torchcodec decodes."""

    source: Path | bytes
    name: str

    @contextmanager
    def opened(self) -> Iterator[Any]:
        with in_a_sentence(self.name):
            source = self.source if isinstance(self.source, bytes) else str(self.source.absolute())
            yield decoders_of_torchcodec().VideoDecoder(source, dimension_order="NHWC", num_ffmpeg_threads=0)

    @property
    def timing(self) -> Timing:
        return self.found_timing

    @cached_property
    def found_timing(self) -> Timing:
        with self.opened() as decoder:
            count, about = len(decoder), decoder.metadata
            if about.codec == "ansi":
                raise UnreadableVideo(f"{self.name}: it is a text, of which FFmpeg would draw the letters")
            start, end = about.begin_stream_seconds, about.end_stream_seconds
            if end - start < 0.9 * (about.duration_seconds_from_header or 0):  # a tenth may be an inexact duration
                raise UnreadableVideo(f"{self.name}: it is cut off after {count} frames")
            if count < 2:
                return Timing(count, about.average_fps)
            step, probed = (end - start) / count, np.linspace(0, count - 1, PROBED, dtype=int)
            if np.abs(times_of(decoder, probed) - start - step * probed).max() <= EXACT:
                return Timing(count, 1 / step)
            starts = times_of(decoder, np.arange(count))
        return Timing.of(starts, end - starts[-1], exact_to=EXACT)

    def __len__(self) -> int:
        return self.timing.count

    def images(self, numbers: Sequence[int], made: Callable[[Image.Image], Any] = untouched) -> list[Any]:
        with self.opened() as decoder:
            wide = with_square_pixels(decoder.metadata.pixel_aspect_ratio)
            found = {
                number: made(wide(Image.fromarray(decoder.get_frame_at(number).data.numpy())))
                for number in sorted(set(map(int, numbers)))
            }
        return [found[number] for number in numbers]


def times_of(decoder: Any, numbers: np.ndarray) -> np.ndarray:
    """In seconds, when these frames are shown; each is decoded for that."""
    return np.array([decoder.get_frame_at(int(number)).pts_seconds for number in numbers])


def with_square_pixels(shape: Any) -> Callable[[Image.Image], Image.Image]:
    """shape: width / height of a pixel, of films as they are held upright; None or 0 where it is not said."""
    shape = float(shape or 1)
    if shape == 1 or not 1 / WIDEST_PIXEL <= shape <= WIDEST_PIXEL:
        return untouched
    return lambda image: image.resize((round(image.width * shape), image.height), Image.Resampling.BICUBIC)
