"""Parquet files and Hub data sets, through the datasets library, decoded by our own reader."""

import re
from collections.abc import Collection
from functools import partial
from pathlib import Path
from typing import Any

import datasets
import numpy as np
from datasets.exceptions import DataFilesNotFoundError, DatasetGenerationError
from pyarrow import ArrowInvalid

from ...errors import UserError, unknown_name
from ...modality import IMAGE, Modality
from ..decode.images import UnreadableImage
from ..settings import DataSettings
from .columns import Columns
from .folders import split_called
from .tables import ImageData, ImageTable

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


def load_parquet(root: Path, *, streaming: bool = False, only: Collection[str] | None = None) -> Any:
    """All splits, or only some of them; a `datasets.DatasetDict`, or an `IterableDatasetDict` where it is streamed."""
    files = {split: paths for split, paths in parquet_files(root).items() if only is None or split in only}
    try:
        return datasets.load_dataset("parquet", data_files=files, streaming=streaming)
    except (DatasetGenerationError, DataFilesNotFoundError, ArrowInvalid) as error:
        reason = error.__cause__ or error
        raise UserError(f"The parquet files of {root} cannot be read: {reason}") from error


def load_from_hub(settings: DataSettings, *, streaming: bool = False) -> Any:
    """As `load_parquet`."""
    if not HUB_ID.fullmatch(settings.name):
        raise UserError(
            f"There is no file or folder {settings.name!r}, and it is not an id of a Hub data set; "
            "data.name is `digits`, a folder of class folders, parquet files, or an id such as cifar10."
        )
    try:
        return datasets.load_dataset(settings.name, settings.subset, revision=settings.revision, streaming=streaming)
    except (OSError, ValueError, RuntimeError) as error:
        raise UserError(
            f"{settings.name!r} is neither a file or folder here, nor could it be loaded from the Hub: {error}"
        ) from error


def named_splits(settings: DataSettings, available: list[str]) -> dict[str, str]:
    """Which of the data set's own splits is ours: named in the recipe, or called like one of ours."""
    found = {split_called(name) or "": name for name in reversed(available)}
    chosen = {}
    for split in ("train", "validation", "test"):
        named = getattr(settings, f"{split}_split")
        if named is not None and named not in available:
            raise UserError(f"--data.{split}_split: {unknown_name('split', named, available)}")
        if name := named or found.get(split):
            chosen[split] = name
    if not chosen:
        raise UserError(
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


def undecoded(rows: Any, column: str) -> Any:
    """The same table or stream, with the files of its images or videos in place of their pixels."""
    kind = type(rows.features[column])
    return rows.cast_column(column, kind(decode=False)) if kind in (datasets.Image, datasets.Video) else rows


def refuse_missing_columns(table: Any, columns: Columns, split: str) -> None:
    for column in (columns.image, columns.label):
        if column not in table.column_names:
            raise UserError(f"The split {split!r} has no column {column!r}, which the others have.")


def open_table(
    table: datasets.Dataset, columns: Columns, split: str, settings: DataSettings, *, modality: Modality
) -> ImageTable:
    refuse_missing_columns(table, columns, split)
    # A value that the first split does not know, such as a hidden -1, becomes -1, and is refused by name.
    labels = [columns.numbers.get(value, -1) for value in table[columns.label]]
    return ImageTable.of(
        undecoded(table.select_columns([columns.image]), columns.image),
        np.asarray(labels),
        source=partial(source_of_record, column=columns.image),
        name=partial(name_record, split=split, column=columns.image),
        check_finite=settings.check_finite,
        modality=modality,
    )


def open_records(loaded: datasets.DatasetDict, settings: DataSettings, *, modality: Modality = IMAGE) -> ImageData:
    """All chosen splits of a loaded data set."""
    chosen = named_splits(settings, [str(name) for name in loaded])
    columns = Columns.of(loaded[chosen.get("train") or next(iter(chosen.values()))], settings)
    tables = {
        split: open_table(loaded[name], columns, name, settings, modality=modality) for split, name in chosen.items()
    }
    return ImageData(tables, columns.label_names)
