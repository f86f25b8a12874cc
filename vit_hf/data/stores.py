"""Prepared pixels of a whole split, in memory or in a file that is mapped into it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class PixelStore:
    """Images of any shapes, one after the other: the bytes of image i are from offsets[i] to offsets[i + 1]."""

    flat: np.ndarray
    shapes: np.ndarray  # n 3 of images h w c or c h w, n 4 of clips

    @cached_property
    def offsets(self) -> np.ndarray:
        return np.concatenate([[0], np.cumsum(self.shapes.prod(axis=1))])

    @cached_property
    def alike(self) -> bool:
        """Whether all have the same shape."""
        return bool((self.shapes == self.shapes[:1]).all())

    @classmethod
    def of(cls, images: Sequence[np.ndarray]) -> "PixelStore":
        shapes = np.array([image.shape for image in images], dtype=np.int64)
        return cls(np.concatenate([image.reshape(-1) for image in images]), shapes)

    def __len__(self) -> int:
        return len(self.shapes)

    def image(self, row: int) -> np.ndarray:
        return self.flat[self.offsets[row] : self.offsets[row + 1]].reshape(self.shapes[row])

    def all(self) -> np.ndarray:
        """-> n ...: of images that are alike"""
        return self.flat.reshape(len(self), *self.shapes[0])

    def batch(self, rows: np.ndarray) -> Tensor:
        """b -> b ...: of images that are alike"""
        return torch.from_numpy(self.all()[rows])


@dataclass(frozen=True)
class StoredSplit:
    """The pixels (where they are kept), the rows of the images that could be read, and a line for each of the rest."""

    store: PixelStore | None
    rows: np.ndarray
    unreadable: list[str]

    def in_memory(self) -> "StoredSplit":
        """A copy that needs no file."""
        if self.store is None:
            return self
        return replace(self, store=PixelStore(np.array(self.store.flat), self.store.shapes))
