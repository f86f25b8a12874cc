"""RandAugment, TrivialAugment, 3-Augment and color jitter on whole batches of bytes; the random numbers are passed in.

Images that drew the same operation are changed together, each by its own amount. AutoAugment (policies.py) and
AugMix (augmix.py) are made of the same operations.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import permutations

import numpy as np
from torch import Tensor

from .color import (
    auto_contrast,
    blur,
    brightness,
    contrast,
    equalize,
    gray_in_all,
    hue,
    invert,
    posterize,
    saturation,
    sharpness,
    solarize,
    solarize_add,
)
from .geometry import rotate, shear_x, shear_y, translate_x, translate_y
from .random_numbers import choice, in_groups, normal, to_device

TRANSFORMS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "identity": lambda pixels, amounts: pixels,
    "auto_contrast": lambda pixels, amounts: auto_contrast(pixels),
    "equalize": lambda pixels, amounts: equalize(pixels),
    "invert": lambda pixels, amounts: invert(pixels),
    "gray": lambda pixels, amounts: gray_in_all(pixels),
    "brightness": brightness,
    "contrast": contrast,
    "saturation": saturation,
    "hue": hue,
    "sharpness": sharpness,
    "posterize": posterize,
    "solarize": solarize,
    "solarize_add": solarize_add,
    "blur": blur,
    "rotate": rotate,
    "shear_x": shear_x,
    "shear_y": shear_y,
    "translate_x": translate_x,
    "translate_y": translate_y,
}

# (level from 0 to 1, sign, side in pixels) -> amount
Amount = Callable[[np.ndarray, np.ndarray, int], np.ndarray]


def nothing(level: np.ndarray, sign: np.ndarray, side: int) -> np.ndarray:
    return np.zeros_like(level)


def factor(level: np.ndarray, sign: np.ndarray, side: int) -> np.ndarray:
    """Of brightness and its like: 1 leaves an image as it is."""
    return np.maximum(0.1, 1 + 0.9 * level * sign)


# Operations whose effect grows with the level. Source: timm's rand-m9-mstd0.5-inc1, the recipe of DeiT.
RANDAUGMENT: dict[str, Amount] = {
    "auto_contrast": nothing,
    "equalize": nothing,
    "invert": nothing,
    "rotate": lambda level, sign, side: 30 * level * sign,
    "posterize": lambda level, sign, side: 4 - np.floor(4 * level),
    "solarize": lambda level, sign, side: 256 - np.floor(256 * level),
    "solarize_add": lambda level, sign, side: np.floor(110 * level),
    "saturation": factor,
    "contrast": factor,
    "brightness": factor,
    "sharpness": factor,
    "shear_x": lambda level, sign, side: 0.3 * level * sign,
    "shear_y": lambda level, sign, side: 0.3 * level * sign,
    "translate_x": lambda level, sign, side: 0.45 * side * level * sign,
    "translate_y": lambda level, sign, side: 0.45 * side * level * sign,
}


def wide_factor(level: np.ndarray, sign: np.ndarray, side: int) -> np.ndarray:
    return 1 + 0.99 * level * sign


# The wide space of TrivialAugment (arXiv:2103.10158), in its released code and torchvision's.
TRIVIALAUGMENT: dict[str, Amount] = {
    "identity": nothing,
    "shear_x": lambda level, sign, side: 0.99 * level * sign,
    "shear_y": lambda level, sign, side: 0.99 * level * sign,
    "translate_x": lambda level, sign, side: 32 * level * sign,
    "translate_y": lambda level, sign, side: 32 * level * sign,
    "rotate": lambda level, sign, side: 135 * level * sign,
    "brightness": wide_factor,
    "saturation": wide_factor,
    "contrast": wide_factor,
    "sharpness": wide_factor,
    "posterize": lambda level, sign, side: 8 - np.round(6 * level),
    "solarize": lambda level, sign, side: 255 * (1 - level),
    "auto_contrast": nothing,
    "equalize": nothing,
}


def apply(pixels: Tensor, names: Sequence[str], chosen: np.ndarray, amounts: np.ndarray) -> Tensor:
    """b c h w, b, b -> b c h w: the chosen one of the names for each image; -1 leaves an image as it is."""

    def change(number: int, pixels: Tensor, rows: np.ndarray) -> Tensor:
        return TRANSFORMS[names[number]](pixels, to_device(amounts[rows].astype(np.float32), pixels))

    return in_groups(pixels, chosen, change)


def signs(numbers: np.ndarray) -> np.ndarray:
    """... -> ...: uniform numbers from 0 to 1 become -1 or 1."""
    return np.where(numbers < 0.5, -1.0, 1.0)


def amounts_of(
    space: Mapping[str, Amount], chosen: np.ndarray, level: np.ndarray, sign: np.ndarray, sides: Sequence[int]
) -> np.ndarray:
    """b, b, b -> b: what each image's operation makes of its level; sides: height and width in pixels"""
    names, amounts = list(space), np.zeros(len(chosen))
    for number in np.unique(chosen):
        rows, name = chosen == number, names[number]
        amounts[rows] = space[name](level[rows], sign[rows], sides[0] if name == "translate_y" else sides[1])
    return amounts


RANDAUGMENT_DRAWS = 4  # for each of its operations


def randaugment(
    pixels: Tensor, numbers: np.ndarray, *, n: int, magnitude: float, noise: float, probability: float
) -> Tensor:
    """b c h w, b (n 4) -> b c h w: `n` operations, each with the probability given, of a level about `magnitude`.

    magnitude: from 0 to 10. noise: the standard deviation of the level about it. Source: RandAugment
    (arXiv:1909.13719), in timm's variant with increasing severity.
    """
    for own in np.split(numbers, n, axis=1):
        operation, occurs, luck, sign = own.T
        chosen = choice(operation, len(RANDAUGMENT))
        level = np.clip(magnitude + noise * normal(luck), 0, 10) / 10
        amounts = amounts_of(RANDAUGMENT, chosen, level, signs(sign), pixels.shape[-2:])
        pixels = apply(pixels, list(RANDAUGMENT), np.where(occurs < probability, chosen, -1), amounts)
    return pixels


TRIVIALAUGMENT_DRAWS = 3
MAGNITUDES = 31  # of TrivialAugment, from nothing to the most


def trivialaugment(pixels: Tensor, numbers: np.ndarray) -> Tensor:
    """b c h w, b 3 -> b c h w: one operation of any level"""
    operation, luck, sign = numbers.T
    chosen = choice(operation, len(TRIVIALAUGMENT))
    level = choice(luck, MAGNITUDES) / (MAGNITUDES - 1)
    amounts = amounts_of(TRIVIALAUGMENT, chosen, level, signs(sign), pixels.shape[-2:])
    return apply(pixels, list(TRIVIALAUGMENT), chosen, amounts)


JITTERED = ("brightness", "contrast", "saturation", "hue")
ORDERS = np.array(list(permutations(range(len(JITTERED)))))
JITTER_DRAWS = len(JITTERED) + 1


def color_jitter(pixels: Tensor, numbers: np.ndarray, strengths: Sequence[float]) -> Tensor:
    """b c h w, b 5 -> b c h w: brightness, contrast and saturation by factors from 1 - strength to 1 + strength, and
    hue by up to its strength of the circle either way, in a random order."""
    moves = (2 * numbers[:, :-1] - 1) * np.asarray(strengths)
    amounts = np.concatenate([np.maximum(0, 1 + moves[:, :3]), moves[:, 3:]], axis=1)
    order = ORDERS[choice(numbers[:, -1], len(ORDERS))]
    for chosen in order.T:
        skipped = np.asarray(strengths)[chosen] == 0
        own = amounts[np.arange(len(chosen)), chosen]
        pixels = apply(pixels, JITTERED, np.where(skipped, -1, chosen), own)
    return pixels


THREE = ("gray", "solarize", "blur")
THREE_DRAWS = 2 + JITTER_DRAWS


def three_augment(pixels: Tensor, numbers: np.ndarray, *, jitter: float) -> Tensor:
    """b c h w, b 7 -> b c h w: gray, solarized at half, or blurred by 0.1 to 2 pixels; then the colors jittered.

    Source: DeiT III (arXiv:2204.07118), 3-Augment.
    """
    chosen = choice(numbers[:, 0], len(THREE))
    amounts = np.stack([np.zeros(len(chosen)), np.full(len(chosen), 128.0), 0.1 + 1.9 * numbers[:, 1]])
    pixels = apply(pixels, THREE, chosen, amounts[chosen, np.arange(len(chosen))])
    return color_jitter(pixels, numbers[:, 2:], [jitter, jitter, jitter, 0])
