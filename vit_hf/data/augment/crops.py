"""Which part of an image is seen: a random rectangle, the whole moved by a few pixels, or all but a rectangle that is
erased once the image is normalized."""

import math
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ...errors import UserError
from ..decode.resize import Box
from .random_numbers import choice, in_groups, noise, to_device

TRIES = 10  # rectangles that are drawn before the middle is taken
BOX_DRAWS = 2 * TRIES + 2


def first_that_fits(
    numbers: np.ndarray, area: tuple[float, float], ratio: tuple[float, float], height: int, width: int
) -> tuple[int, int] | None:
    """(tries 2) -> height and width of a rectangle with an area (in pixels) and a ratio (width to height, uniform in
    its logarithm) between the limits."""
    low, high = math.log(ratio[0]), math.log(ratio[1])
    for luck, shape in numbers:
        pixels = area[0] + (area[1] - area[0]) * luck
        aspect = math.exp(low + (high - low) * shape)
        box_width, box_height = round(math.sqrt(pixels * aspect)), round(math.sqrt(pixels / aspect))
        if 0 < box_width <= width and 0 < box_height <= height:
            return box_height, box_width
    return None


def random_box(
    height: int, width: int, numbers: np.ndarray, *, scale: tuple[float, float], ratio: tuple[float, float]
) -> Box:
    """(tries 2 + 2) -> a part of the image: `scale` is its share of the area, `ratio` its width to its height.

    Where no draw fits, the largest middle of an allowed ratio. Source: Inception (arXiv:1409.4842), as in torchvision.
    """
    tries, (down, right) = numbers[:-2].reshape(-1, 2), numbers[-2:]
    area = (scale[0] * height * width, scale[1] * height * width)
    if sides := first_that_fits(tries, area, ratio, height, width):
        top, left = choice(down, height - sides[0] + 1), choice(right, width - sides[1] + 1)
        return Box(int(top), int(left), *sides)
    aspect = min(max(width / height, ratio[0]), ratio[1])
    sides = min(height, round(width / aspect)), min(width, round(height * aspect))
    return Box((height - sides[0]) // 2, (width - sides[1]) // 2, *sides)


def mirrored(length: int, margin: int, device: torch.device | None = None) -> Tensor:
    """-> (margin + length + margin): where the pixels of a line with mirrored margins come from; 0 is not repeated."""
    places = torch.arange(-margin, length + margin, device=device).abs()
    return (length - 1) - ((length - 1) - places).abs()


def pad_and_crop(pixels: Tensor, numbers: np.ndarray, *, margin: int, padding: Literal["zeros", "reflect"]) -> Tensor:
    """b c h w, b 2 -> b c h w: the image with a margin of so many pixels around it, and a part of its size cut out.

    Raises: UserError where the margin is too large to be mirrored from the image.
    """
    height, width = pixels.shape[-2:]
    if padding == "reflect":
        if margin >= min(height, width):
            raise UserError(
                f"A margin of {margin} pixels cannot be mirrored from images of {height} x {width}; "
                "take a smaller one, or padding: zeros."
            )
        rows, columns = (mirrored(side, margin, pixels.device) for side in (height, width))
        padded = pixels[:, :, rows][:, :, :, columns]
    else:
        padded = torch.nn.functional.pad(pixels, [margin] * 4)
    moves = to_device(choice(numbers, 2 * margin + 1), pixels)
    rows = moves[:, :1] + torch.arange(height, device=pixels.device)  # b h
    columns = moves[:, 1:] + torch.arange(width, device=pixels.device)  # b w
    batch = torch.arange(len(pixels), device=pixels.device)[:, None, None, None]
    channels = torch.arange(pixels.shape[1], device=pixels.device)[None, :, None, None]
    return padded[batch, channels, rows[:, None, :, None], columns[:, None, None, :]]


def flip(pixels: Tensor, numbers: np.ndarray, *, probability: float) -> Tensor:
    """b c h w, b 1 -> b c h w: mirror left and right."""
    mirrored = np.where(numbers[:, 0] < probability, 0, -1)
    return in_groups(pixels, mirrored, lambda number, pixels, rows: pixels.flip(-1))


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
    """b c h w (normalized), b draws -> b c h w, in place: with the probability given, a rectangle of `area` (a share)
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
