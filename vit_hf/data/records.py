"""Parquet files and Hub data sets, through the datasets library, decoded by our own reader."""

import re
from functools import partial
from pathlib import Path

import datasets
import numpy as np
from datasets.exceptions import DataFilesNotFoundError, DatasetGenerationError
from pyarrow import ArrowInvalid

from .columns import find_image_column, find_label_column, names_of_labels
from .folders import split_called
from .reading import UnreadableImage
from .settings import DataSettings
from .tables import ImageData, ImageTable
from .words import unknown_name

HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")


def parquet_files(root: Path) -> dict[str, list[str]]:
    """The files of each split, by their names (test-00000-of-00001.parquet); train is what says nothing else."""
    files = [root] if root.is_file() else sorted(root.rglob("*.parquet"))
    splits: dict[str, list[str]] = {}
    for file in files:
        words = [*re.split(r"[^a-zA-Z]+", file.stem), file.parent.name]
        split = next((split for word in words if (split := split_called(word))), "train")
        splits.setdefault(split, []).append(str(file))
    return splits


def load_parquet(root: Path) -> datasets.DatasetDict:
    files = parquet_files(root)
    try:
        loaded = datasets.load_dataset("parquet", data_files=files)
    except (DatasetGenerationError, DataFilesNotFoundError, ArrowInvalid) as error:
        reason = error.__cause__ or error
        raise ValueError(f"The parquet files of {root} cannot be read: {reason}") from error
    return loaded  # type: ignore[return-value]


def load_from_hub(settings: DataSettings) -> datasets.DatasetDict:
    if not HUB_ID.fullmatch(settings.name):
        raise ValueError(
            f"There is no file or folder {settings.name!r}, and it is not an id of a Hub data set; "
            "data.name is `digits`, a folder of class folders, parquet files, or an id such as cifar10."
        )
    try:
        loaded = datasets.load_dataset(settings.name, settings.subset, revision=settings.revision)
    except (OSError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"{settings.name!r} is neither a file or folder here, nor could it be loaded from the Hub: {error}"
        ) from error
    return loaded  # type: ignore[return-value]


def named_splits(settings: DataSettings, available: list[str]) -> dict[str, str]:
    """Which of the data set's own splits is ours: named in the recipe, or called like one of ours."""
    found = {split_called(name) or "": name for name in reversed(available)}
    chosen = {}
    for split in ("train", "validation", "test"):
        named = getattr(settings, f"{split}_split")
        if named is not None and named not in available:
            raise ValueError(f"--data.{split}_split: {unknown_name('split', named, available)}")
        if name := named or found.get(split):
            chosen[split] = name
    if not chosen:
        raise ValueError(
            f"None of the splits {', '.join(available)} is called train, validation or test; "
            "name one with --data.train_split."
        )
    return chosen


def source_of_record(record: dict, name: str, *, column: str) -> Path | bytes:
    value = record[column]
    if isinstance(value, dict):
        value = value.get("bytes") or Path(value["path"] or "")
    if value is None:
        raise UnreadableImage(f"{name}: there is no image in this row")
    return value


def name_record(record: dict, row: int, *, split: str, column: str) -> str:
    value = record[column]
    path = value.get("path") if isinstance(value, dict) else None
    return f"{split}[{row}]" + (f" ({Path(path).name})" if path else "")


def open_records(loaded: datasets.DatasetDict, settings: DataSettings) -> ImageData:
    """All chosen splits of a loaded data set."""
    chosen = named_splits(settings, [str(name) for name in loaded])
    first = loaded[chosen.get("train") or next(iter(chosen.values()))]
    image = find_image_column(first, settings.image_column)
    label = find_label_column(first, settings.label_column)
    label_names, numbers = names_of_labels(first, label)
    tables = {}
    for split, name in chosen.items():
        table = loaded[name]
        for column in (image, label):
            if column not in table.column_names:
                raise ValueError(f"The split {name!r} has no column {column!r}, which the others have.")
        # A value that the first split does not know, such as a hidden -1, becomes -1, and is refused by name.
        labels = [numbers.get(value, -1) for value in table[label]]
        rows = table.select_columns([image])
        if isinstance(rows.features[image], datasets.Image):
            rows = rows.cast_column(image, datasets.Image(decode=False))
        tables[split] = ImageTable.of(
            rows,  # type: ignore[arg-type]
            np.asarray(labels),
            source=partial(source_of_record, column=image),
            name=partial(name_record, split=name, column=image),
            check_finite=settings.check_finite,
        )
    return ImageData(tables, label_names)
