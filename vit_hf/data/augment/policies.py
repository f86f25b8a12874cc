"""AutoAugment on whole batches of bytes: policies of 25 pairs of operations, each pair as probable.

The tables are those of the appendix of AutoAugment (arXiv:1805.09501), a pair a line: an operation, the probability
that it occurs, and its magnitude from 0 to 9 (0 where it has none).
"""

from typing import Literal

import numpy as np
from torch import Tensor

from .auto_augment import Amount, amounts_of, apply, factor, nothing, signs
from .random_numbers import choice

PolicyName = Literal["imagenet", "cifar10", "svhn"]
Drawn = tuple[str, float, int]

POLICIES: dict[PolicyName, tuple[tuple[Drawn, Drawn], ...]] = {
    "imagenet": (
        (("posterize", 0.4, 8), ("rotate", 0.6, 9)),
        (("solarize", 0.6, 5), ("auto_contrast", 0.6, 0)),
        (("equalize", 0.8, 0), ("equalize", 0.6, 0)),
        (("posterize", 0.6, 7), ("posterize", 0.6, 6)),
        (("equalize", 0.4, 0), ("solarize", 0.2, 4)),
        (("equalize", 0.4, 0), ("rotate", 0.8, 8)),
        (("solarize", 0.6, 3), ("equalize", 0.6, 0)),
        (("posterize", 0.8, 5), ("equalize", 1.0, 0)),
        (("rotate", 0.2, 3), ("solarize", 0.6, 8)),
        (("equalize", 0.6, 0), ("posterize", 0.4, 6)),
        (("rotate", 0.8, 8), ("saturation", 0.4, 0)),
        (("rotate", 0.4, 9), ("equalize", 0.6, 0)),
        (("equalize", 0.0, 0), ("equalize", 0.8, 0)),
        (("invert", 0.6, 0), ("equalize", 1.0, 0)),
        (("saturation", 0.6, 4), ("contrast", 1.0, 8)),
        (("rotate", 0.8, 8), ("saturation", 1.0, 2)),
        (("saturation", 0.8, 8), ("solarize", 0.8, 7)),
        (("sharpness", 0.4, 7), ("invert", 0.6, 0)),
        (("shear_x", 0.6, 5), ("equalize", 1.0, 0)),
        (("saturation", 0.4, 0), ("equalize", 0.6, 0)),
        (("equalize", 0.4, 0), ("solarize", 0.2, 4)),
        (("solarize", 0.6, 5), ("auto_contrast", 0.6, 0)),
        (("invert", 0.6, 0), ("equalize", 1.0, 0)),
        (("saturation", 0.6, 4), ("contrast", 1.0, 8)),
        (("equalize", 0.8, 0), ("equalize", 0.6, 0)),
    ),
    "cifar10": (
        (("invert", 0.1, 0), ("contrast", 0.2, 6)),
        (("rotate", 0.7, 2), ("translate_x", 0.3, 9)),
        (("sharpness", 0.8, 1), ("sharpness", 0.9, 3)),
        (("shear_y", 0.5, 8), ("translate_y", 0.7, 9)),
        (("auto_contrast", 0.5, 0), ("equalize", 0.9, 0)),
        (("shear_y", 0.2, 7), ("posterize", 0.3, 7)),
        (("saturation", 0.4, 3), ("brightness", 0.6, 7)),
        (("sharpness", 0.3, 9), ("brightness", 0.7, 9)),
        (("equalize", 0.6, 0), ("equalize", 0.5, 0)),
        (("contrast", 0.6, 7), ("sharpness", 0.6, 5)),
        (("saturation", 0.7, 7), ("translate_x", 0.5, 8)),
        (("equalize", 0.3, 0), ("auto_contrast", 0.4, 0)),
        (("translate_y", 0.4, 3), ("sharpness", 0.2, 6)),
        (("brightness", 0.9, 6), ("saturation", 0.2, 8)),
        (("solarize", 0.5, 2), ("invert", 0.0, 0)),
        (("equalize", 0.2, 0), ("auto_contrast", 0.6, 0)),
        (("equalize", 0.2, 0), ("equalize", 0.6, 0)),
        (("saturation", 0.9, 9), ("equalize", 0.6, 0)),
        (("auto_contrast", 0.8, 0), ("solarize", 0.2, 8)),
        (("brightness", 0.1, 3), ("saturation", 0.7, 0)),
        (("solarize", 0.4, 5), ("auto_contrast", 0.9, 0)),
        (("translate_y", 0.9, 9), ("translate_y", 0.7, 9)),
        (("auto_contrast", 0.9, 0), ("solarize", 0.8, 3)),
        (("equalize", 0.8, 0), ("invert", 0.1, 0)),
        (("translate_y", 0.7, 9), ("auto_contrast", 0.9, 0)),
    ),
    "svhn": (
        (("shear_x", 0.9, 4), ("invert", 0.2, 0)),
        (("shear_y", 0.9, 8), ("invert", 0.7, 0)),
        (("equalize", 0.6, 0), ("solarize", 0.6, 6)),
        (("invert", 0.9, 0), ("equalize", 0.6, 0)),
        (("equalize", 0.6, 0), ("rotate", 0.9, 3)),
        (("shear_x", 0.9, 4), ("auto_contrast", 0.8, 0)),
        (("shear_y", 0.9, 8), ("invert", 0.4, 0)),
        (("shear_y", 0.9, 5), ("solarize", 0.2, 6)),
        (("invert", 0.9, 0), ("auto_contrast", 0.8, 0)),
        (("equalize", 0.6, 0), ("rotate", 0.9, 3)),
        (("shear_x", 0.9, 4), ("solarize", 0.3, 3)),
        (("shear_y", 0.8, 8), ("invert", 0.7, 0)),
        (("equalize", 0.9, 0), ("translate_y", 0.6, 6)),
        (("invert", 0.9, 0), ("equalize", 0.6, 0)),
        (("contrast", 0.3, 3), ("rotate", 0.8, 4)),
        (("invert", 0.8, 0), ("translate_y", 0.0, 2)),
        (("shear_y", 0.7, 6), ("solarize", 0.4, 8)),
        (("invert", 0.6, 0), ("rotate", 0.8, 4)),
        (("shear_y", 0.3, 7), ("translate_x", 0.9, 3)),
        (("shear_x", 0.1, 6), ("invert", 0.6, 0)),
        (("solarize", 0.7, 2), ("translate_y", 0.6, 7)),
        (("shear_y", 0.8, 4), ("invert", 0.8, 0)),
        (("shear_x", 0.7, 9), ("translate_y", 0.8, 3)),
        (("shear_y", 0.8, 5), ("auto_contrast", 0.7, 0)),
        (("shear_x", 0.7, 2), ("invert", 0.1, 0)),
    ),
}

# What magnitudes mean is torchvision's: ten even steps from none to the most of the paper, either way for colors too.
AUTOAUGMENT: dict[str, Amount] = {
    "shear_x": lambda level, sign, side: 0.3 * level * sign,
    "shear_y": lambda level, sign, side: 0.3 * level * sign,
    "translate_x": lambda level, sign, side: 150 / 331 * side * level * sign,  # the paper's images have 331 pixels
    "translate_y": lambda level, sign, side: 150 / 331 * side * level * sign,
    "rotate": lambda level, sign, side: 30 * level * sign,
    "brightness": factor,
    "saturation": factor,
    "contrast": factor,
    "sharpness": factor,
    "posterize": lambda level, sign, side: 8 - np.round(4 * level),
    "solarize": lambda level, sign, side: 255 * (1 - level),
    "auto_contrast": nothing,
    "equalize": nothing,
    "invert": nothing,
}
STRONGEST = 9  # magnitude

AUTOAUGMENT_DRAWS = 5


def autoaugment(pixels: Tensor, numbers: np.ndarray, *, policy: PolicyName) -> Tensor:
    """b c h w, b 5 -> b c h w: a pair of the policy, of which each operation occurs with its own probability"""
    pairs = POLICIES[policy]
    drawn = choice(numbers[:, 0], len(pairs))
    for place, own in enumerate(np.split(numbers[:, 1:], 2, axis=1)):
        occurs, sign = own.T
        names, probabilities, magnitudes = (np.array(column) for column in zip(*(p[place] for p in pairs), strict=True))
        chosen = np.array([list(AUTOAUGMENT).index(name) for name in names])[drawn]
        amounts = amounts_of(AUTOAUGMENT, chosen, magnitudes[drawn] / STRONGEST, signs(sign), pixels.shape[-2:])
        pixels = apply(pixels, list(AUTOAUGMENT), np.where(occurs < probabilities[drawn], chosen, -1), amounts)
    return pixels
