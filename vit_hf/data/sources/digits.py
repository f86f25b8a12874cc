"""The 1,797 handwritten digits that scikit-learn carries: real images without a download."""

from typing import Any

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from ...modality import VIDEO
from .tables import ImageData, ImageTable


def image_of_digit(pixels: np.ndarray, name: str) -> Image.Image:
    return Image.fromarray(pixels)


def name_digit(pixels: np.ndarray, row: int) -> str:
    return f"digits-{row:04d}"


def digits() -> ImageData:
    """8 x 8 grays of 17 levels, stretched to 0..255. Source: UCI Optical Recognition of Handwritten Digits."""
    bunch: Any = load_digits()
    pixels = (bunch.images * 255 / 16).round().astype(np.uint8)
    table = ImageTable.of(pixels, bunch.target, source=image_of_digit, name=name_digit)
    return ImageData({"train": table}, [str(name) for name in bunch.target_names])


# Rows down and columns to the right, for each frame; the labels are in the order of their names.
DIRECTIONS = {
    "down": (1, 0),
    "down_left": (1, -1),
    "down_right": (1, 1),
    "left": (0, -1),
    "right": (0, 1),
    "up": (-1, 0),
    "up_left": (-1, -1),
    "up_right": (-1, 1),
}
FRAMES, SIDE, STEP = 8, 24, 2  # of a clip; pixels of a frame; pixels from frame to frame


def moving(digit: np.ndarray, direction: tuple[int, int], middle: np.ndarray) -> np.ndarray:
    """8 8 -> t h w 1, bytes: the digit on black, on a straight way whose middle lies at `middle` (0 to 1, 0 to 1).

    The way fits into the frame, so that the opposite direction shows the same frames in the opposite order.
    """
    height, width = digit.shape
    frames = np.zeros((FRAMES, SIDE, SIDE, 1), dtype=np.uint8)
    ways = np.array(direction) * STEP * (FRAMES - 1)
    room = np.array([SIDE - height, SIDE - width]) - abs(ways)
    first = (middle * (room + 1)).astype(int) + np.where(ways < 0, -ways, 0)
    for number, frame in enumerate(frames):
        row, column = first + np.array(direction) * STEP * number
        frame[row : row + height, column : column + width, 0] = digit
    return frames


def moving_frames(item: tuple[np.ndarray, tuple[int, int], np.ndarray], name: str) -> np.ndarray:
    return moving(*item)


def name_clip(item: Any, row: int) -> str:
    return f"moving_digits-{row:04d}"


def moving_digits() -> ImageData:
    """1,797 clips of 8 frames of 24 x 24, always the same; each direction as often as the others, give or take one.

    Source: our own, of the digits in UCI's Optical Recognition of Handwritten Digits.
    """
    bunch: Any = load_digits()
    digits = (bunch.images * 255 / 16).round().astype(np.uint8)
    random = np.random.default_rng(0)
    labels = random.permutation(len(digits)) % len(DIRECTIONS)
    middles = random.random((len(digits), 2))
    ways = list(DIRECTIONS.values())
    items = [(digit, ways[label], middle) for digit, label, middle in zip(digits, labels, middles, strict=True)]
    table = ImageTable.of(items, labels, source=moving_frames, name=name_clip, modality=VIDEO)
    return ImageData({"train": table}, list(DIRECTIONS))
