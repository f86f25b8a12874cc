"""Which images a model is measured on: those of the part that it was given, or of any data those new to it."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..data.settings import DataSettings
from ..data.sources.open_data import open_data, open_source
from ..data.sources.split_record import NEW, SPLIT_FILE, SplitRecord
from ..data.sources.tables import ImageData, ImageTable
from ..errors import UserError
from ..modality import Modality

KNOWN_AS = {
    "train": "it has trained on",
    "validation": "chose among its checkpoints",
    "test": "are of its test part",
    NEW: "are new to it",
}


@dataclass(frozen=True)
class Chosen:
    """What is measured. name: how the split is called. told: what the model knew of the images before, in a line."""

    table: ImageTable
    label_names: list[str]
    name: str
    told: str | None = None


def record_of_model(model: str) -> SplitRecord | None:
    """Which images it was trained and tested on, where its folder says so."""
    path = Path(model) / SPLIT_FILE
    return SplitRecord.load(path) if path.is_file() else None


def choose_images(
    settings: DataSettings, split: str | None, modality: Modality, record: SplitRecord | None, *, own: bool
) -> Chosen:
    """split: train, validation, test, or all; None for test, or for data that has none, for all that may test.

    own: whether the data is the model's own, of which what came later is left out.

    Raises: UserError for a split that there is not, and where nothing is left that the model has not learned from.
    """
    if record is None:
        return of_a_stranger(settings, split, modality, own=own)
    source = open_source(located(settings, record) if own else settings, modality=modality)
    if split == "all":
        table, name = only_split(source), "whole"
    else:
        wanted = split or "test"
        table = source.splits[wanted] if wanted in source.splits else source.split("train")
        name = wanted
    parts = record.part_of(table)
    kept = np.flatnonzero(is_kept(parts, name, own=own, named=split is not None))
    told = tell(table, parts, len(kept))
    if not len(kept):
        raise UserError(f"{told} Nothing is left to measure; --split all measures every one of them.")
    return Chosen(table.select(kept), source.label_names, name, told)


def located(settings: DataSettings, record: SplitRecord) -> DataSettings:
    """A recipe names its data without saying where it lies, which the record knows."""
    if record.source is None:
        return settings
    if not Path(record.source).exists():
        raise UserError(f"The data lay in {record.source}, and is not there any more; say where it is with --data.")
    return settings.model_copy(update={"name": record.source})


def is_kept(parts: np.ndarray, name: str, *, own: bool, named: bool) -> np.ndarray:
    """Of the parts of all images: which are measured."""
    if name == "whole":
        return np.ones(len(parts), dtype=bool)
    known = parts == name
    if own or (named and name != "test"):
        return known
    return known | (parts == NEW)


def tell(table: ImageTable, parts: np.ndarray, kept: int) -> str:
    counts = Counter(parts.tolist())
    known = ", ".join(f"{counts[part]:,} {words}" for part, words in KNOWN_AS.items() if counts[part])
    return f"Of {table.modality.counted(len(table))}, {known}; {kept:,} are measured."


def of_a_stranger(settings: DataSettings, split: str | None, modality: Modality, *, own: bool) -> Chosen:
    """Of a model that does not say what it has learned from."""
    source = open_source(settings, modality=modality)
    held_out = {"validation", "test"} & set(source.splits)
    if split == "all" or (split is None and not own and not held_out):
        return Chosen(only_split(source), source.label_names, "whole")
    data = open_data(settings, modality=modality)
    name = data.held_out if split in (None, "test") and "test" not in data.splits else split or "test"
    return Chosen(data.split(name), data.label_names, name)


def only_split(data: ImageData) -> ImageTable:
    if len(data.splits) > 1:
        raise UserError(f"The data has the splits {', '.join(data.splits)}; name one of them with --split.")
    return next(iter(data.splits.values()))
