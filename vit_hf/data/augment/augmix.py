"""AugMix on whole batches of bytes: an image mixed with what several chains of operations make of it.

Source: AugMix (arXiv:1912.02781), whose loss, which compares two such mixtures of an image, is no part of it.
"""

from collections.abc import Mapping

import numpy as np
from einops import rearrange
from scipy.special import gammaincinv
from torch import Tensor

from .auto_augment import RANDAUGMENT, Amount, amounts_of, apply, factor, signs
from .color import as_bytes
from .mixing import shares
from .random_numbers import choice, to_device

OF_RANDAUGMENT = ("auto_contrast", "equalize", "posterize", "rotate", "solarize", "shear_x", "shear_y")
IN_IMAGENET_C = ("brightness", "contrast", "saturation", "sharpness")
PAPERS: dict[str, Amount] = {
    **{name: RANDAUGMENT[name] for name in OF_RANDAUGMENT},
    "translate_x": lambda level, sign, side: side / 3 * level * sign,
    "translate_y": lambda level, sign, side: side / 3 * level * sign,
}
# The paper leaves out what ImageNet-C measures; timm and torchvision do not.
AUGMIX: dict[str, Mapping[str, Amount]] = {"paper": PAPERS, "all": PAPERS | dict.fromkeys(IN_IMAGENET_C, factor)}

LONGEST_CHAIN = 3  # where its length is drawn
LEAST_MAGNITUDE = 0.1


def augmix_draws(width: int, depth: int) -> int:
    """-> random numbers: the mixture's; for each chain a weight, a length, and three for each operation"""
    return 1 + width * (2 + 3 * (depth if depth > 0 else LONGEST_CHAIN))


def chain(
    pixels: Tensor, numbers: np.ndarray, lengths: np.ndarray, space: Mapping[str, Amount], severity: float
) -> Tensor:
    """b c h w, b (steps 3), b -> b c h w: so many operations, each of any magnitude up to `severity` of 10"""
    for step, own in enumerate(np.split(numbers, numbers.shape[1] // 3, axis=1)):
        operation, luck, sign = own.T
        chosen = choice(operation, len(space))
        level = (LEAST_MAGNITUDE + (severity - LEAST_MAGNITUDE) * luck) / 10
        amounts = amounts_of(space, chosen, level, signs(sign), pixels.shape[-2:])
        pixels = apply(pixels, list(space), np.where(step < lengths, chosen, -1), amounts)
    return pixels


def weights_of(numbers: np.ndarray, alpha: float) -> np.ndarray:
    """(mixture chains) b -> (image chains) b: of the image what Beta(alpha, alpha) leaves, the rest by Dirichlet(alpha)

    uniform numbers from 0 to 1 -> shares with a sum of 1
    """
    mixture = shares(numbers[0], alpha)
    # Gamma variables become Dirichlet's by division; none is 0, so that they have a sum.
    gammas = gammaincinv(alpha, numbers[1:].clip(2.0**-54))
    return np.stack([1 - mixture, *(mixture * gammas / gammas.sum(axis=0))])


def augmix(
    pixels: Tensor, numbers: np.ndarray, *, operations: str, severity: float, width: int, depth: int, alpha: float
) -> Tensor:
    """b c h w, b draws -> b c h w: the image and `width` chains of operations on it, by the shares of `weights_of`

    operations: of `AUGMIX`. depth: the length of a chain; -1 for 1 to 3.
    """
    chains = rearrange(numbers[:, 1:], "b (chain own) -> chain b own", chain=width)
    weights = weights_of(np.stack([numbers[:, 0], *chains[..., 0]]), alpha).astype(np.float32)
    of_image, *of_chains = to_device(weights[..., None, None, None], pixels)
    total = pixels * of_image
    for own, weight in zip(chains, of_chains, strict=True):
        lengths = np.full(len(own), depth) if depth > 0 else 1 + choice(own[:, 1], LONGEST_CHAIN)
        total.add_(chain(pixels, own[:, 2:], lengths, AUGMIX[operations], severity) * weight)
    return as_bytes(total.add_(0.5))
