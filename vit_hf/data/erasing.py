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


def places_in(boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """b 4 -> n, n, n: the image, row and column of every pixel in the boxes"""
    tops, lefts, heights, widths = boxes.T
    counts = heights * widths
    images = np.repeat(np.arange(len(boxes)), counts)
    inside = np.arange(len(images)) - np.repeat(np.cumsum(counts) - counts, counts)
    rows, columns = np.divmod(inside, np.repeat(np.maximum(widths, 1), counts))
    return images, rows + tops[images], columns + lefts[images]


def erase(
    pixels: Tensor,
    numbers: np.ndarray,
    *,
    probability: float,
    area: tuple[float, float],
    fill: Literal["pixel", "color", "zeros"],
) -> Tensor:
    """b c h w (normalised), b draws -> b c h w: with the probability given, a rectangle of `area` (a share) is erased.

    fill: noise of variance 1 in every pixel, one random color, or zeros, the mean. Source: arXiv:1708.04896, with
    timm's limits.
    """
    height, width = pixels.shape[-2:]
    images, rows, columns = places_in(erased_boxes(numbers, height, width, probability=probability, area=area))
    if not len(images):
        return pixels
    found = [to_device(places, pixels) for places in (images, rows, columns)]
    if fill == "zeros":
        values = torch.zeros((), device=pixels.device, dtype=pixels.dtype)
    else:
        keys = to_device((numbers[:, -1] * 2**32).astype(np.int64), pixels)
        pixel = found[1] * width + found[2] if fill == "pixel" else torch.zeros_like(found[1])
        channel = torch.arange(pixels.shape[1], device=pixels.device)
        places = pixel[:, None] * pixels.shape[1] + channel
        values = noise(keys[found[0]][:, None], places).to(pixels.dtype)
    erased = pixels.clone()
    erased[found[0], :, found[1], found[2]] = values
    return erased
