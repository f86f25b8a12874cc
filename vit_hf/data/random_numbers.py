"""Random numbers that are a pure function of (seed, epoch, sample): batches, workers and restarts change none."""

import numpy as np

GOLDEN = np.uint64(0x9E3779B97F4A7C15)


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
