"""What every source of images becomes: a table per split, and the names of the labels."""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path, PurePath
from typing import Any, Protocol

import numpy as np
from tqdm import tqdm

from ...errors import UserError
from ...modality import IMAGE, Modality
from ..decode.files import USUAL_READING, Reading, UnreadableImage
from ..settings import ProblemType


def as_labels(labels: Any) -> np.ndarray:
    """n whole numbers of classes, or n labels (0 and 1 for each, or numbers to predict)"""
    labels = np.asarray(labels)
    return labels.astype(np.float32 if labels.ndim == 2 else np.int64)


@dataclass(frozen=True)
class ImageTable:
    """Images or videos (undecoded) and labels of one split. `source(item, name)` is where an item's is: whatever its
    modality opens, such as a file, or the bytes of one.

    labels: as `as_labels`. groups: of each, as a text: those of one group stay together where a split is cut.
    hashes: of each one's content.
    """

    items: Sequence[Any]
    labels: np.ndarray
    source: Callable[[Any, str], Any]
    name: Callable[[Any, int], str]
    order: np.ndarray
    reading: Reading = USUAL_READING
    modality: Modality = IMAGE
    groups: np.ndarray | None = None
    hashes: np.ndarray | None = None

    @classmethod
    def of(
        cls,
        items: Sequence[Any],
        labels,
        *,
        source: Callable,
        name: Callable,
        check_finite: bool = False,
        modality: Modality = IMAGE,
        groups: Sequence[str] | None = None,
    ) -> "ImageTable":
        labels, order = as_labels(labels), np.arange(len(items))
        together = None if groups is None else np.asarray(groups, dtype=object)
        return cls(items, labels, source, name, order, Reading(check_finite=check_finite), modality, together)

    def __len__(self) -> int:
        return len(self.order)

    def name_of(self, index: int) -> str:
        row = int(self.order[index])
        return self.name(self.items[row], row)

    def source_of(self, index: int) -> tuple[Any, str]:
        """-> where the image or video is, and its name"""
        row = int(self.order[index])
        item = self.items[row]
        name = self.name(item, row)
        return self.source(item, name), name

    def open(self, index: int) -> Any:
        """The image as a `Picture`, or the video as `Footage`: no more than the header is read yet."""
        source, name = self.source_of(index)
        return self.modality.open(source, name, self.reading)

    def read_each(self, prepare: Callable[[Any], Any], doing: str) -> Iterator[tuple[Any, str | None]]:
        """For each image what `prepare` makes of it, or None and a line that says why it cannot be read."""

        def read(index: int) -> tuple[Any, str | None]:
            try:
                return prepare(self.open(index)), None
            except UnreadableImage as error:
                return None, str(error)

        return self.each(read, doing)

    def each(self, read: Callable[[int], Any], doing: str) -> Iterator[Any]:
        """read(0), read(1), ... of the rows, by several threads, while a bar says how far that is."""
        found = read_in_order(read, len(self))
        yield from tqdm(found, total=len(self), desc=doing, unit=f" {self.modality.plural}", leave=False, disable=None)

    def class_counts(self, classes: int) -> np.ndarray:
        """Items of each class; of several labels those that have each, and of numbers to predict all."""
        if self.labels.ndim == 1:
            return np.bincount(self.labels, minlength=classes)
        if np.isin(self.labels, (0, 1)).all():
            return self.labels.sum(axis=0).astype(np.int64)
        return np.full(classes, len(self))

    def select(self, indices: Sequence[int] | np.ndarray) -> "ImageTable":
        """The same images, fewer and in this order."""
        indices = np.asarray(indices, dtype=np.int64)
        groups, hashes = (None if each is None else each[indices] for each in (self.groups, self.hashes))
        return replace(self, labels=self.labels[indices], order=self.order[indices], groups=groups, hashes=hashes)

    def with_groups(self, groups: np.ndarray) -> "ImageTable":
        """The same images; those of one group, a text, stay together where a split is cut."""
        return replace(self, groups=groups)

    def with_labels(self, labels: np.ndarray) -> "ImageTable":
        """The same images with these labels."""
        return replace(self, labels=as_labels(labels))


def read_in_order(read: Callable[[int], Any], count: int) -> Iterator[Any]:
    """read(0), read(1), ...: by several threads, as Pillow decodes without holding the interpreter's lock."""
    workers = min(16, os.cpu_count() or 1)
    with ThreadPoolExecutor(workers) as pool:
        indices = iter(range(count))
        waiting = [pool.submit(read, index) for index in islice(indices, 16 * workers)]
        for index in range(count):
            yield waiting[index % len(waiting)].result()
            if (following := next(indices, None)) is not None:
                waiting[index % len(waiting)] = pool.submit(read, following)


class Shards(Protocol):
    """What a streamed data set of the datasets library offers."""

    num_shards: int

    def shard(self, num_shards: int, index: int) -> Any: ...


@dataclass(frozen=True)
class StreamedTable:
    """Images or videos (undecoded) and labels of a split of unknown length. `source(record, name)` is where a record's
    is: a file, or the bytes of one."""

    shards: Shards
    source: Callable[[Any, str], Path | bytes]
    name: Callable[[Any], str]
    label: Callable[[Any, str], Any]  # a number, or as many as there are names
    modality: Modality = IMAGE
    reading: Reading = USUAL_READING

    def open(self, record: Any) -> Any:
        """A `Picture`, or of videos `Footage`."""
        name = self.name(record)
        return self.modality.open(self.source(record, name), name, self.reading)

    def label_of(self, record: Any) -> Any:
        return self.label(record, self.name(record))


@dataclass(frozen=True)
class ImageData:
    """All splits (train, validation, test: those that there are) and what their labels mean: the names of classes, or
    of the numbers to predict."""

    splits: dict[str, ImageTable]
    label_names: list[str]
    split_origin: str | None = None  # how validation and test came about, where the data has none
    stream: StreamedTable | None = None  # the train split, where it is read while it is trained on
    problem_type: ProblemType = "single_label_classification"
    unlabeled: ImageTable | None = None  # what lies in a split without labels, for predict
    understood: list[str] = field(default_factory=list)  # how the data was read, in at most two lines

    def split(self, name: str) -> ImageTable:
        if name not in self.splits:
            raise UserError(f"The data has no split {name!r}; it has {', '.join(self.splits)}.")
        return self.splits[name]

    @property
    def held_out(self) -> str:
        """The split that a finished model is judged on: validation only where nothing tests it."""
        return "test" if "test" in self.splits else "validation"


def refuse_strange_labels(table: ImageTable, label_names: Sequence[str], split: str) -> None:
    """Labels count from 0 to the number of classes; hidden labels of public test sets are often -1. Numbers to predict
    are finite."""
    labels, classes = table.labels, len(label_names)
    if labels.ndim == 2:
        strange, wanted = np.flatnonzero(~np.isfinite(labels).all(axis=1)), "not finite"
    else:
        strange, wanted = np.flatnonzero((labels < 0) | (labels >= classes)), f"outside 0 to {classes - 1}"
    if len(strange):
        first = int(strange[0])
        raise UserError(
            f"{len(strange)} of {len(table)} labels of the split {split!r} are {wanted}; "
            f"the first is {labels[first]} at {table.name_of(first)}. Correct them, or name another split "
            f"with --data.{split}_split."
        )


def refuse_empty_classes(table: ImageTable, label_names: Sequence[str]) -> None:
    """A class without a single image to train on would be learned as one that never occurs."""
    empty = [name for name, count in zip(label_names, table.class_counts(len(label_names)), strict=True) if not count]
    if empty:
        named = (
            f"The class {empty[0]!r} has" if len(empty) == 1 else f"{len(empty)} classes, such as {empty[0]!r}, have"
        )
        raise UserError(f"{named} no image in the train split; add some, or take the name out of the labels.")


def fingerprint(table: ImageTable) -> str:
    """SHA-256 over a line for each image, its name, a tab and its label, in the order of the split.

    Of a file the name is its own and that of its folder, so that it does not matter where the data lies.
    """
    lines = hashlib.sha256()
    for index, label in enumerate(table.labels.tolist()):
        lines.update(f"{'/'.join(PurePath(table.name_of(index)).parts[-2:])}\t{label}\n".encode())
    return lines.hexdigest()
