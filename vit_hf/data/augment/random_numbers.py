"""Random numbers that are a pure function of (seed, epoch, sample): batches, workers and restarts change none."""

from collections.abc import Callable
from functools import cache

import numpy as np
import torch
from torch import Tensor

GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def scramble(bits: np.ndarray) -> np.ndarray:
    """... -> ...: the finalizer of SplitMix64 on uint64, one well-mixed number for each. Source: Steele 2014."""
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


def uniform(seed: int, epoch: int, samples: np.ndarray, draws: int) -> np.ndarray:
    """b -> b draws: numbers from 0 to 1 (float64, 1 excluded) for each sample of an epoch."""
    state = np.zeros((len(samples), 1), dtype=np.uint64)
    parts = (
        np.uint64(seed),
        np.uint64(epoch),
        np.asarray(samples, np.uint64)[:, None],
        np.arange(draws, dtype=np.uint64),
    )
    for part in parts:
        state = scramble((state ^ part) + GOLDEN)
    return (state >> np.uint64(11)) * 2.0**-53


def normal(numbers: np.ndarray) -> np.ndarray:
    """... -> ...: uniform numbers from 0 to 1 become ones of mean 0 and variance 1."""
    return torch.special.ndtri(torch.from_numpy(numbers).clamp(2.0**-54, 1 - 2.0**-53)).numpy()


def choice(numbers: np.ndarray, count: int | np.ndarray) -> np.ndarray:
    """... -> ...: uniform numbers from 0 to 1 become whole ones below `count`, of each or of all."""
    return np.minimum((numbers * count).astype(np.int64), count - 1)


def signed(word: int) -> int:
    """The whole number of 64 bits with a sign, as torch has them, that has the bits of one without."""
    return word - 2**64 if word >= 2**63 else word


def scrambled(bits: Tensor) -> Tensor:
    """... -> ...: `scramble` in torch, whose products overflow alike and whose shifts keep the sign."""
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):
        bits = (bits ^ ((bits >> shift) & ((1 << (64 - shift)) - 1))) * signed(factor)
    return bits


@cache
def normal_levels(device: torch.device) -> Tensor:
    """-> 65536: numbers of mean 0 and variance 1, from the smallest, each as probable; the same on every device"""
    shares = (torch.arange(2**16, dtype=torch.float64) + 0.5) / 2**16
    return torch.special.ndtri(shares).float().to(device, non_blocking=True)


def noise(keys: Tensor, places: Tensor, channels: int) -> Tensor:
    """n, n -> n channels: normal numbers for each key and place (both below 2^32), the same on every device.

    A hash of 64 bits is good for four of them, as looking up 16 bits is several times as fast as computing.
    """
    quarters = torch.arange(4, device=keys.device) * 16
    states = (keys << 32 | places) * signed(int(GOLDEN))
    fours = [scrambled(states + four)[:, None] >> quarters for four in range(-(-channels // 4))]
    levels = torch.cat(fours, dim=1)[:, :channels] & 0xFFFF
    return normal_levels(keys.device).index_select(0, levels.flatten()).view(levels.shape)


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
