"""The 1,797 handwritten digits that scikit-learn carries: real images without a download."""

from typing import Any

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from .tables import ImageData, ImageTable


def image_of_digit(pixels: np.ndarray, name: str) -> Image.Image:
    return Image.fromarray(pixels)


def name_digit(pixels: np.ndarray, row: int) -> str:
    return f"digits-{row:04d}"


def digits() -> ImageData:
    """8 x 8 greys of 17 levels, stretched to 0..255. Source: UCI Optical Recognition of Handwritten Digits."""
    bunch: Any = load_digits()
    pixels = (bunch.images * 255 / 16).round().astype(np.uint8)
    table = ImageTable.of(pixels, bunch.target, source=image_of_digit, name=name_digit)
    return ImageData({"train": table}, [str(name) for name in bunch.target_names])
