"""What every source of images becomes: a table per split, and the names of the labels."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from PIL import Image


@dataclass(frozen=True)
class ImageTable:
    """Images (undecoded) and labels of one split. `open(item, name)` decodes one item."""

    items: Sequence[Any]
    labels: np.ndarray
    open: Callable[[Any, str], Image.Image]
    name: Callable[[Any, int], str]
    order: np.ndarray

    @classmethod
    def of(cls, items: Sequence[Any], labels, *, open: Callable, name: Callable) -> "ImageTable":
        return cls(items, np.asarray(labels, dtype=np.int64), open, name, np.arange(len(items)))

    def __len__(self) -> int:
        return len(self.order)

    def name_of(self, index: int) -> str:
        row = int(self.order[index])
        return self.name(self.items[row], row)

    def image(self, index: int) -> Image.Image:
        row = int(self.order[index])
        item = self.items[row]
        return self.open(item, self.name(item, row))

    def select(self, indices: Sequence[int] | np.ndarray) -> "ImageTable":
        """The same images, fewer and in this order."""
        indices = np.asarray(indices, dtype=np.int64)
        return replace(self, labels=self.labels[indices], order=self.order[indices])

    def with_labels(self, labels: np.ndarray) -> "ImageTable":
        """The same images with these labels."""
        return replace(self, labels=np.asarray(labels, dtype=np.int64))


@dataclass(frozen=True)
class ImageData:
    """All splits (train, validation, test: those that there are) and what their labels mean."""

    splits: dict[str, ImageTable]
    label_names: list[str]
    carved: str | None = None  # how the test split came about, where the data has none

    def split(self, name: str) -> ImageTable:
        if name not in self.splits:
            raise ValueError(f"The data has no split {name!r}; it has {', '.join(self.splits)}.")
        return self.splits[name]

    @property
    def held_out(self) -> str:
        """The split that a finished model is judged on."""
        return "test" if "test" in self.splits else "validation"


def refuse_strange_labels(table: ImageTable, label_names: Sequence[str], split: str) -> None:
    """Labels count from 0 to the number of classes; hidden labels of public test sets are often -1."""
    strange = np.flatnonzero((table.labels < 0) | (table.labels >= len(label_names)))
    if len(strange):
        first = int(strange[0])
        raise ValueError(
            f"{len(strange)} of {len(table)} labels of the split {split!r} are outside 0 to {len(label_names) - 1}; "
            f"the first is {table.labels[first]} at {table.name_of(first)}. Correct them, or name another split "
            f"with --data.{split}_split."
        )
