"""Random numbers that are a pure function of (seed, epoch, sample): batches, workers and restarts change none."""

import numpy as np
import torch
from torch import Tensor

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
WORD = 0xFFFFFFFF  # 32 bits


def scramble(bits: np.ndarray) -> np.ndarray:
    """... -> ...: the finaliser of SplitMix64 on uint64, one well-mixed number for each. Source: Steele 2014."""
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


def choice(numbers: np.ndarray, count: int) -> np.ndarray:
    """... -> ...: uniform numbers from 0 to 1 become whole ones below `count`."""
    return np.minimum((numbers * count).astype(np.int64), count - 1)


def noise(keys: Tensor, places: Tensor) -> Tensor:
    """n, n -> n: a number of mean 0 and variance 1 for each key and place, on whatever device they are.

    A hash of 32 bits in whole numbers of 64, the same everywhere. Source of its constants: Wellons 2018, lowbias32.
    """
    bits = (keys ^ (places * 0x9E3779B9)) & WORD
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        bits = ((bits ^ (bits >> shift)) * factor) & WORD
    bits = bits ^ (bits >> 16)
    return torch.special.ndtri(((bits >> 9).float() + 0.5) / 2**23)
