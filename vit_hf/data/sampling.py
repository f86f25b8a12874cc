"""Repeated augmentation: each image several times in an effective batch, differently augmented."""

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

from .random_numbers import uniform


class RepeatedSampler(Sampler[int]):
    """As many samples as there are images, of which each that occurs occurs `repeats` times. Another epoch has others.

    The n-th repetition of image i is the sample i + n · images. Images come in groups, a group `repeats` times over,
    so that an effective batch of `batch` samples, however many processes share it, holds all repetitions of its images
    and neighbours are different images, which can be mixed. Source: arXiv:1901.09335, as in DeiT.
    """

    def __init__(self, images: int, repeats: int, *, batch: int, seed: int):
        self.images = images
        self.repeats = repeats
        self.group = max(1, batch // repeats)
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by Accelerate at the start of every epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.images

    def order(self) -> np.ndarray:
        """The samples of this epoch."""
        luck = uniform(self.seed, self.epoch, np.arange(self.images), 1)[:, 0]
        shuffled = np.argsort(luck, kind="stable")
        groups = np.split(shuffled, range(self.group, self.images, self.group))
        repeated = [group + number * self.images for group in groups for number in range(self.repeats)]
        return np.concatenate(repeated)[: self.images]

    def __iter__(self) -> Iterator[int]:
        return iter(self.order().tolist())
