"""Parquet files and Hub data sets whose train split is read while it is trained on: no disk holds it, nobody waits."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import datasets
from datasets.utils.file_utils import xopen

from ...errors import UserError
from ...modality import IMAGE, Modality
from ..settings import DataSettings
from .columns import Columns
from .records import (
    load_from_hub,
    load_parquet,
    named_splits,
    open_table,
    refuse_missing_columns,
    source_of_record,
    undecoded,
)
from .tables import ImageData, StreamedTable


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
    number = columns.numbers.get(record[columns.label])
    called = repr(record[columns.label]) if number is None else columns.label_names[number]
    return f"{split} ({Path(path).name})" if path else f"an image of {split} labeled {called}"


def label_of_record(record: dict[str, Any], name: str, *, columns: Columns) -> int:
    value = record[columns.label]
    if value not in columns.numbers:
        raise UserError(
            f"{name}: its label {value!r} is none of the {len(columns.numbers)} that the data names. Labels that are "
            "plain values are those of the split to test on, as a stream is not read beforehand; correct it, or leave "
            "out data.streaming."
        )
    return columns.numbers[value]


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
    return ImageData(
        {split: open_table(tables[name], columns, name, settings, modality=modality) for split, name in chosen.items()},
        columns.label_names,
        stream=StreamedTable(
            undecoded(stream.select_columns([columns.image, columns.label]), columns.image),
            source=partial(source_of_streamed, column=columns.image),
            name=partial(name_streamed, columns=columns, split=train),
            label=partial(label_of_record, columns=columns),
            check_finite=settings.check_finite,
            modality=modality,
        ),
    )
