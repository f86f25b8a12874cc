"""Images of a batch that are changed in the same way are changed together."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor


def to_device(values: np.ndarray, like: Tensor) -> Tensor:
    """Without waiting for the device."""
    return torch.from_numpy(values).to(like.device, non_blocking=True)


def in_groups(pixels: Tensor, group: np.ndarray, change: Callable[[int, Tensor, np.ndarray], Tensor]) -> Tensor:
    """b ..., b -> b ...: `change(number, pixels, rows)` for the rows of each group; those below 0 stay as they are."""
    numbers, counts = np.unique(group, return_counts=True)
    if numbers[-1] < 0:
        return pixels
    if len(numbers) == 1:
        return change(int(numbers[0]), pixels, np.arange(len(group)))
    # Whole images are copied into an order of groups and back: several times as fast as indexed writing.
    order = np.argsort(group, kind="stable")
    parts = pixels.index_select(0, to_device(order, pixels)).split(counts.tolist())
    rows = np.split(order, np.cumsum(counts)[:-1])
    changed = [
        change(int(number), part, own) if number >= 0 else part
        for number, part, own in zip(numbers, parts, rows, strict=True)
    ]
    return torch.cat(changed).index_select(0, to_device(np.argsort(order), pixels))
