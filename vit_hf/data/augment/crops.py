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


def sides_drawn(
    numbers: np.ndarray, area: tuple[float, float], ratio: tuple[float, float], height: int, width: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """... 2 -> ..., ..., ...: heights and widths of rectangles with an area (in pixels) and a ratio (width to height,
    uniform in its logarithm) between the limits, and whether they fit."""
    low, high = math.log(ratio[0]), math.log(ratio[1])
    pixels = area[0] + (area[1] - area[0]) * numbers[..., 0]
    aspects = np.exp(low + (high - low) * numbers[..., 1])
    heights, widths = (np.rint(np.sqrt(sides)).astype(np.int64) for sides in (pixels / aspects, pixels * aspects))
    return heights, widths, (heights > 0) & (heights <= height) & (widths > 0) & (widths <= width)


def random_box(
    height: int, width: int, numbers: np.ndarray, *, scale: tuple[float, float], ratio: tuple[float, float]
) -> Box:
    """(tries 2 + 2) -> a part of the image: `scale` is its share of the area, `ratio` its width to its height.

    Where no draw fits, the largest middle of an allowed ratio. Source: Inception (arXiv:1409.4842), as in torchvision.
    """
    tries, (down, right) = numbers[:-2].reshape(-1, 2), numbers[-2:]
    area = (scale[0] * height * width, scale[1] * height * width)
    heights, widths, fits = sides_drawn(tries, area, ratio, height, width)
    if fits.any():
        first = fits.argmax()
        sides = int(heights[first]), int(widths[first])
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
    moves = to_device(choice(numbers, 2 * margin + 1), pixels)
    rows, columns = (
        move + torch.arange(side, device=pixels.device)
        for move, side in zip(moves.split(1, 1), (height, width), strict=True)
    )  # b h, b w
    if padding == "zeros":
        pixels = torch.nn.functional.pad(pixels, [margin] * 4)
    elif margin < min(height, width):
        rows, columns = mirrored(height, margin, pixels.device)[rows], mirrored(width, margin, pixels.device)[columns]
    else:
        raise UserError(
            f"A margin of {margin} pixels cannot be mirrored from images of {height} x {width}; "
            "take a smaller one, or padding: zeros."
        )
    # By one number for each pixel; indexed by axes, each byte would cost the arithmetic of four.
    places = (rows[:, :, None] * pixels.shape[-1] + columns[:, None]).flatten(1)  # b (h w)
    cut = pixels.flatten(2).gather(2, places[:, None].expand(-1, pixels.shape[1], -1))
    return cut.unflatten(2, (height, width))


def flip(pixels: Tensor, numbers: np.ndarray, *, probability: float) -> Tensor:
    """b c h w, b 1 -> b c h w: mirror left and right."""
    chosen = numbers[:, 0] < probability
    if pixels.device.type != "cpu":  # where each copy of a part is a kernel
        return torch.where(to_device(chosen, pixels)[:, None, None, None], pixels.flip(-1), pixels)
    return in_groups(pixels, np.where(chosen, 0, -1), lambda number, pixels, rows: pixels.flip(-1))


ERASE_DRAWS = 1 + 2 * TRIES + 2 + 1
RATIO = (0.3, 1 / 0.3)


def erased_boxes(
    numbers: np.ndarray, height: int, width: int, *, probability: float, area: tuple[float, float]
) -> np.ndarray:
    """b (1 + tries 2 + 2 ...) -> b 4: top, left, height, width; the last two are 0 where nothing is erased."""
    boxes = np.zeros((len(numbers), 4), dtype=np.int64)
    limits = (area[0] * height * width, area[1] * height * width)
    drawn = np.flatnonzero(numbers[:, 0] < probability)
    tries, (down, right) = (
        numbers[drawn, 1 : 1 + 2 * TRIES].reshape(-1, TRIES, 2),
        numbers[drawn, 1 + 2 * TRIES :][:, :2].T,
    )
    heights, widths, fits = sides_drawn(tries, limits, RATIO, height - 1, width - 1)
    first = np.arange(len(drawn)), fits.argmax(1)
    heights, widths, some = heights[first], widths[first], fits[first]
    tops, lefts = choice(down, height - heights + 1), choice(right, width - widths + 1)
    boxes[drawn[some]] = np.stack([tops, lefts, heights, widths], axis=1)[some]
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
