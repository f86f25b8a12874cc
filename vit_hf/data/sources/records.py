"""Parquet files and Hub data sets, through the datasets library, decoded by our own reader.

Where a recipe says `streaming`, the train split is read while it is trained on: no disk holds it, nobody waits.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import datasets
import numpy as np
from datasets.exceptions import DataFilesNotFoundError, DatasetGenerationError
from datasets.utils.file_utils import xopen
from pyarrow import ArrowInvalid

from ...errors import UserError, first_few, unknown_name
from ...modality import IMAGE, Modality
from ..decode.images import UnreadableImage
from ..settings import DataSettings
from .columns import Columns
from .image_folders import understood
from .label_columns import Labels, class_key
from .split_names import SPLITS, spelled, split_called
from .tables import ImageData, ImageTable, StreamedTable

HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")


def parquet_files(root: Path) -> dict[str, list[str]]:
    """The files of each split, by their names (test-00000-of-00001.parquet); train is what says nothing else."""
    files = [root] if root.is_file() else sorted(root.rglob("*.parquet"))
    splits: dict[str, list[str]] = {}
    for file in files:
        found = spelled(file.stem)
        split = found.split if found else split_called(file.parent.name)
        splits.setdefault(split or "train", []).append(str(file))
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
    found: dict[str | None, str] = {}
    for name in sorted(available, key=lambda name: name not in SPLITS):  # `train` before `train_small`
        found.setdefault(split_called(name), name)
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
    for column in columns.all:
        if column not in table.column_names:
            raise UserError(f"The split {split!r} has no column {column!r}, which the others have.")


def is_hidden(rows: Sequence[Sequence[Any]], labels: Labels) -> bool:
    """Whether a split has no labels at all: public test sets are often so, with -1 in their place."""
    return all(labels.is_missing(row) or [*row] == [-1] for row in rows)


def rows_of_labels(table: datasets.Dataset, labels: Labels) -> list[tuple[Any, ...]]:
    return list(zip(*(list(table[column]) for column in labels.columns), strict=True))


def encoded_labels(rows: Sequence[Sequence[Any]], labels: Labels, split: str) -> np.ndarray:
    """A value that the first split does not know, such as a hidden -1, becomes -1, and is refused by name."""
    if labels.problem_type == "single_label_classification" and len(labels.columns) == 1 and not labels.vectors:
        return np.asarray([labels.numbers.get(class_key(value), -1) for (value,) in rows])
    encoded = []
    for place, row in enumerate(rows):
        try:
            encoded.append(labels.of_row(row))
        except (KeyError, ValueError) as error:
            raise UserError(
                f"{split}[{place}]: {row} is none of the labels of the first split, or no finite number: {error}."
            ) from None
    return np.asarray(encoded)


def open_table(
    table: datasets.Dataset, columns: Columns, split: str, settings: DataSettings, *, modality: Modality
) -> tuple[ImageTable, bool]:
    """-> the items of a split, and whether they have labels"""
    refuse_missing_columns(table, columns, split)
    rows = rows_of_labels(table, columns.labels)
    hidden = is_hidden(rows, columns.labels)
    if not hidden and any(columns.labels.is_missing(row) for row in rows):
        raise UserError(f"The label {columns.labels.described()} of {split!r} has rows without a label; remove them.")
    groups = None
    if columns.group is not None:
        groups = [str(value) for value in table[columns.group]]
    opened = ImageTable.of(
        undecoded(table.select_columns([columns.image]), columns.image),
        np.full(len(table), -1) if hidden else encoded_labels(rows, columns.labels, split),
        source=partial(source_of_record, column=columns.image),
        name=partial(name_record, split=split, column=columns.image),
        check_finite=settings.check_finite,
        modality=modality,
        groups=groups,
    )
    return opened, not hidden


def open_records(loaded: datasets.DatasetDict, settings: DataSettings, *, modality: Modality = IMAGE) -> ImageData:
    """All chosen splits of a loaded data set. One without labels is set aside, unless it is trained on."""
    chosen = named_splits(settings, [str(name) for name in loaded])
    first = chosen.get("train") or next(iter(chosen.values()))
    columns = Columns.of(loaded[first], settings)
    tables, unlabeled = {}, None
    for split, name in chosen.items():
        table, has_labels = open_table(loaded[name], columns, name, settings, modality=modality)
        if has_labels or name == first:
            tables[split] = table
        else:
            unlabeled = table
    return data_of_tables(tables, columns.labels, settings, modality, unlabeled=unlabeled)


def data_of_tables(
    tables: dict[str, ImageTable],
    labels: Labels,
    settings: DataSettings,
    modality: Modality,
    *,
    unlabeled: ImageTable | None = None,
    stream: StreamedTable | None = None,
) -> ImageData:
    lines = understood(
        f"{settings.name}: labels by {labels.described()}",
        tables,
        labels.names,
        labels.problem_type,
        modality,
        aside=["a split"],
        set_aside=len(unlabeled) if unlabeled is not None else 0,
    )
    return ImageData(
        tables,
        labels.names,
        stream=stream,
        problem_type=labels.problem_type,
        unlabeled=unlabeled,
        understood=lines,
    )


def typed(stream: Any) -> Any:
    """The same stream, its columns known: of some formats only the first records tell them."""
    return stream if stream.features is not None else stream._resolve_features()


def with_bytes(record: dict[str, Any], column: str) -> dict[str, Any]:
    """The same record; a file that lies elsewhere is fetched."""
    value = record[column]
    path = value.get("path") if isinstance(value, dict) and not value.get("bytes") else None
    if path is None or "://" not in path:
        return record
    with xopen(path, "rb") as file:
        return {**record, column: {"bytes": file.read(), "path": path}}


def source_of_streamed(record: dict[str, Any], name: str, *, column: str) -> Path | bytes:
    return source_of_record(with_bytes(record, column), name, column=column)


def name_streamed(record: dict[str, Any], *, columns: Columns, split: str) -> str:
    """There is no row to name: shards are read in another order in every epoch."""
    value = record[columns.image]
    path = value.get("path") if isinstance(value, dict) else None
    values = [record[column] for column in columns.labels.columns]
    number = columns.labels.numbers.get(class_key(values[0])) if isinstance(values[0], str | int) else None
    called = first_few(map(repr, values)) if number is None else columns.labels.names[number]
    return f"{split} ({Path(path).name})" if path else f"an image of {split} labeled {called}"


def label_of_record(record: dict[str, Any], name: str, *, columns: Columns) -> Any:
    """A number, or a list of as many as there are names."""
    values = [record[column] for column in columns.labels.columns]
    try:
        return columns.labels.of_row(values)
    except (KeyError, ValueError) as error:
        raise UserError(
            f"{name}: its label {first_few(map(repr, values))} is none of the {len(columns.labels.names)} that the "
            "data names. Labels that are plain values are those of the split to test on, as a stream is not read "
            "beforehand; correct it, or leave out data.streaming."
        ) from error


def records_of(stream: Any, images: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    for record in stream:
        for column in images:
            record = with_bytes(record, column)
        yield record


def download_split(stream: Any, split: str) -> datasets.Dataset:
    """All of a split, kept in the cache of the datasets library, and none of the other splits."""
    kinds = (datasets.Image, datasets.Video)
    images = tuple(name for name, feature in stream.features.items() if isinstance(feature, kinds))
    for column in images:
        stream = undecoded(stream, column)
    found: Any = datasets.Dataset.from_generator(
        records_of,
        features=stream.features,
        gen_kwargs={"stream": stream, "images": images},
        split=datasets.NamedSplit(split),
    )
    return found


def open_streamed(settings: DataSettings, *, modality: Modality = IMAGE) -> ImageData:
    """The train split as a stream, the others as tables."""
    path = Path(settings.name).expanduser()
    local = path.exists()
    streams = load_parquet(path, streaming=True) if local else load_from_hub(settings, streaming=True)
    chosen = named_splits(settings, [str(name) for name in streams])
    if (train := chosen.pop("train", None)) is None:
        raise UserError(
            f"data.streaming: {settings.name} has no split called train, but {', '.join(map(str, streams))}; name one "
            "with --data.train_split."
        )
    if not chosen:
        raise UserError(
            f"data.streaming: {settings.name} has no split to test on, and none can be held out of a stream. Name one "
            "with --data.test_split, or leave streaming out."
        )
    if local:
        tables = load_parquet(path, only=list(chosen.values()))
    else:
        tables = {name: download_split(typed(streams[name]), name) for name in chosen.values()}
    stream = typed(streams[train])
    columns = Columns.of(stream, settings, values=tables[next(reversed(chosen.values()))])
    refuse_missing_columns(stream, columns, train)
    opened = {
        split: open_table(tables[name], columns, name, settings, modality=modality)[0] for split, name in chosen.items()
    }
    streamed = StreamedTable(
        undecoded(stream.select_columns(columns.all), columns.image),
        source=partial(source_of_streamed, column=columns.image),
        name=partial(name_streamed, columns=columns, split=train),
        label=partial(label_of_record, columns=columns),
        modality=modality,
    )
    return data_of_tables(opened, columns.labels, settings, modality, stream=streamed)
