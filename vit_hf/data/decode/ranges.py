"""Which numbers are black and white in images of more than eight bits: found on some of those to train on.

What a file can hold says little of it: the 4096 levels of a camera of 12 bits come in files of 16.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from ...models.image_files import is_deep
from ...models.video_frames import frame_files
from .files import USUAL_READING, Reading, opened_image

LOOKED_AT = 64  # images that the range is found on
# The largest numbers of scales that are in use: shares, and 8, 10, 12, 14 and 16 bits.
SCALES = (1.0, 255.0, 1023.0, 4095.0, 16383.0, 65535.0)


class Extremes(NamedTuple):
    """The smallest and the largest number in an image."""

    low: float
    high: float


def extremes_of(source: object, reading: Reading = USUAL_READING) -> Extremes | None:
    """Of an image, a file, the bytes of one, or the middle one of a folder of frames; None where it has eight bits, or
    cannot be read, which is for others to say."""
    if isinstance(source, Image.Image):
        return extremes_in(source)
    if isinstance(source, Path) and source.is_dir():
        frames = frame_files(source, reading.frames)
        return extremes_of(frames[len(frames) // 2], reading) if frames else None
    if not isinstance(source, Path | bytes):
        return None
    try:
        with opened_image(source, reading) as image:
            return extremes_in(image)
    except Exception:  # noqa: BLE001
        return None


def extremes_in(image: Image.Image) -> Extremes | None:
    if not is_deep(image):
        return None
    values = np.asarray(image)
    known = values[np.isfinite(values)]
    return Extremes(float(known.min()), float(known.max())) if known.size else None


def range_over(found: Iterable[Extremes | None]) -> tuple[float, float] | None:
    """What is black and white in these images; None where all have eight bits.

    From 0 to the end of the scale that they are on: the first that holds them all, where they reach more than a quarter
    of it, as the next smaller one would not hold them. Else, and where there are negative numbers, what there is.
    """
    deep = [extremes for extremes in found if extremes is not None]
    if not deep:
        return None
    low, high = min(own.low for own in deep), max(own.high for own in deep)
    scale = next((scale for scale in SCALES if high <= scale), None)
    if low >= 0 and scale is not None and high > scale / 4:
        return 0.0, scale
    return low, high if high > low else low + 1
