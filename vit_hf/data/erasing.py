"""Random erasing: a rectangle of the normalised image gives way to noise."""

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from .crops import TRIES, first_that_fits
from .groups import to_device
from .random_numbers import choice, noise

ERASE_DRAWS = 1 + 2 * TRIES + 2 + 1
RATIO = (0.3, 1 / 0.3)


def erased_boxes(
    numbers: np.ndarray, height: int, width: int, *, probability: float, area: tuple[float, float]
) -> np.ndarray:
    """b (1 + tries 2 + 2 ...) -> b 4: top, left, height, width; the last two are 0 where nothing is erased."""
    boxes = np.zeros((len(numbers), 4), dtype=np.int64)
    limits = (area[0] * height * width, area[1] * height * width)
    for row in np.flatnonzero(numbers[:, 0] < probability):
        tries, (down, right) = numbers[row, 1 : 1 + 2 * TRIES].reshape(-1, 2), numbers[row, 1 + 2 * TRIES :][:2]
        if sides := first_that_fits(tries, limits, RATIO, height - 1, width - 1):
            top, left = choice(down, height - sides[0] + 1), choice(right, width - sides[1] + 1)
            boxes[row] = top, left, *sides
    return boxes


def places_in(boxes: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """b 4 -> n, n: the image of every pixel in the boxes, and its place among the pixels of the image"""
    tops, lefts, heights, widths = boxes.T
    counts = heights * widths
    images = np.repeat(np.arange(len(boxes)), counts)
    inside = np.arange(len(images)) - np.repeat(np.cumsum(counts) - counts, counts)
    rows, columns = np.divmod(inside, np.repeat(np.maximum(widths, 1), counts))
    return images, (rows + tops[images]) * width + columns + lefts[images]


def erase_(
    pixels: Tensor,
    numbers: np.ndarray,
    *,
    probability: float,
    area: tuple[float, float],
    fill: Literal["pixel", "color", "zeros"],
) -> Tensor:
    """b c h w (normalised), b draws -> b c h w, in place: with the probability given, a rectangle of `area` (a share)
    is erased.

    fill: noise of variance 1 in every pixel, one random color, or zeros, the mean. Source: arXiv:1708.04896, with
    timm's limits.
    """
    channels, height, width = pixels.shape[1:]
    images, places = places_in(erased_boxes(numbers, height, width, probability=probability, area=area), width)
    if not len(images):
        return pixels
    image, place = to_device(images, pixels), to_device(places, pixels)
    if fill == "zeros":
        values = torch.zeros((), device=pixels.device, dtype=pixels.dtype)
    else:
        keys = to_device((numbers[:, -1] * 2**32).astype(np.int64)[images], pixels)
        values = noise(keys, place if fill == "pixel" else torch.zeros_like(place), channels).to(pixels.dtype)
    pixels.flatten(2)[image, :, place] = values
    return pixels
