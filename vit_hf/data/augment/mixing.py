"""Mixup and CutMix between neighbors of a batch: the first with the second, the third with the fourth.

What a pair draws depends on the seed, the epoch and its first sample. As pairs stay together however a run is split
into batches and processes (of an even size), they change no mixture. An odd one at the end stays as it is.
"""

import numpy as np
import torch
from einops import rearrange
from scipy.special import betaincinv
from torch import Tensor
from torch.nn import functional

from .random_numbers import to_device

MIX_DRAWS = 5


def shares(numbers: np.ndarray | float, alpha: float) -> np.ndarray:
    """... -> ...: uniform numbers become those of a Beta(alpha, alpha) distribution."""
    return betaincinv(alpha, alpha, numbers)


def cut_boxes(height: int, width: int, kept: np.ndarray, down: np.ndarray, right: np.ndarray) -> np.ndarray:
    """b, b, b -> b 4: boxes (top, left, height, width) of the image's shape and 1 - kept of its area about any point,
    cut off at the border."""
    columns = []
    for side, middle in ((height, down), (width, right)):
        half, place = (side * np.sqrt(1 - kept)).astype(np.int64) // 2, (middle * side).astype(np.int64)
        first = np.maximum(0, place - half)
        columns.append((first, np.minimum(side, place + half) - first))
    (tops, heights), (lefts, widths) = columns
    return np.stack([tops, lefts, heights, widths], axis=1)


def partners(batch: Tensor) -> Tensor:
    """b ... -> b ...: each one's neighbor; the last of an odd batch is its own."""
    even = len(batch) // 2 * 2
    swapped = rearrange(
        rearrange(batch[:even], "(pair two) ... -> pair two ...", two=2).flip(1), "p two ... -> (p two) ..."
    )
    return swapped if even == len(batch) else torch.cat([swapped, batch[even:]])


def mixup(batch: Tensor, keep: Tensor) -> Tensor:
    """b ..., b -> b ...: `keep` (0 to 1) of each example, and the rest of its neighbor. Source: arXiv:1710.09412."""
    return torch.lerp(partners(batch), batch, keep.reshape(-1, *[1] * (batch.ndim - 1)).to(batch.dtype))


def cutmix(pixels: Tensor, boxes: Tensor) -> Tensor:
    """b c h w, b 4 -> b c h w: each image with its box (top, left, height, width) from its neighbor.

    Source: arXiv:1905.04899.
    """
    rows = torch.arange(pixels.shape[2], device=pixels.device)[:, None]
    columns = torch.arange(pixels.shape[3], device=pixels.device)
    top, left, height, width = rearrange(boxes, "b four -> four b 1 1")
    inside = (rows >= top) & (rows < top + height) & (columns >= left) & (columns < left + width)
    return torch.where(inside[:, None], partners(pixels), pixels)


def pair_plan(
    numbers: np.ndarray,
    height: int,
    width: int,
    *,
    mixup_alpha: float,
    cutmix_alpha: float,
    probability: float,
    switch: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """b 5 -> b, b 4, b: what of each image mixup keeps (1: all), the box that cutmix takes (0: none), what of each
    label stays. The two of a pair have the same.

    An alpha of 0 is for neither; switch: the probability of cutmix where there are both.
    """
    pairs = len(numbers) // 2
    keep, boxes = np.ones(pairs), np.zeros((pairs, 4), dtype=np.int64)
    occurs, kind, luck, down, right = numbers[: 2 * pairs : 2].T  # of a pair its first decides
    cut = (occurs < probability) & ((kind < switch) | (not mixup_alpha)) & (cutmix_alpha > 0)
    blended = (occurs < probability) & ~cut
    if cut.any():
        boxes[cut] = cut_boxes(height, width, shares(luck[cut], cutmix_alpha), down[cut], right[cut])
    if blended.any():
        keep[blended] = shares(luck[blended], mixup_alpha)
    labels = np.where(cut, 1 - boxes[:, 2] * boxes[:, 3] / (height * width), keep)
    odd = len(numbers) % 2
    return (
        np.pad(keep.repeat(2), (0, odd), constant_values=1),
        np.pad(boxes.repeat(2, axis=0), ((0, odd), (0, 0))),
        np.pad(labels.repeat(2), (0, odd), constant_values=1),
    )


def mix(pixels: Tensor, labels: Tensor, numbers: np.ndarray, classes: int, **how: float) -> tuple[Tensor, Tensor]:
    """b c h w, b or b classes, b 5 -> b c h w, b classes: mixed images and shares of labels; `how`: `pair_plan`."""
    keep, boxes, kept_labels = pair_plan(numbers, *pixels.shape[-2:], **how)
    if boxes.any():
        pixels = cutmix(pixels, to_device(boxes, pixels))
    if (keep < 1).any():
        pixels = mixup(pixels, to_device(keep, pixels))
    shares = (functional.one_hot(labels, classes) if labels.ndim == 1 else labels).to(pixels.dtype)
    return pixels, mixup(shares, to_device(kept_labels, pixels))
