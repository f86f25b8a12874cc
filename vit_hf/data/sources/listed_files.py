"""Tables that name files of images, and what they say of each: labels.csv, metadata.jsonl, a parquet of paths."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import UserError, first_few, unknown_name
from ...modality import Modality
from ..settings import DataSettings
from .file_places import Places, text_of
from .image_folders import split_words, table_of_files, understood, without_labels
from .label_columns import LABEL_WORDS, Labels, find_labels, is_empty
from .split_names import split_called
from .table_files import TableValues, read_table
from .tables import ImageData, ImageTable

FILE_WORDS = (
    "file_name",
    "filename",
    "file",
    "file_path",
    "filepath",
    "path",
    "image",
    "image_path",
    "img",
    "image_id",
)
FILE_WORDS += ("id", "name", "video", "video_path", "video_id")
SPLIT_COLUMNS = ("split", "set", "subset", "partition")
SPLIT_SWITCHES = {"is_valid": "validation", "is_val": "validation", "is_validation": "validation", "is_test": "test"}


class NoFiles(UserError):
    """A table that names files which are not there."""


@dataclass
class Listed:
    """Rows of a table: the files that they name, and all columns. split: the one that the table is."""

    path: Path
    split: str | None
    table: TableValues
    image_column: str
    files: list[str | None]

    def row(self, place: int) -> str:
        return f"{self.path.name}, row {place + 1} ({self.table[self.image_column][place]})"


def read_listed(path: Path, split: str | None, places: Places, settings: DataSettings) -> Listed:
    """Raises: UserError where no column names files that are there."""
    table = read_table(path)
    columns = [*table]
    if (named := settings.image_column) is not None:
        if named not in table:
            raise UserError(f"--data.image_column: {unknown_name('column', named, columns)}")
        candidates = [named]
    else:
        candidates = sorted(columns, key=lambda name: (name.lower() not in FILE_WORDS, name.lower() in LABEL_WORDS))
        candidates = [name for name in candidates if any(isinstance(value, str | int) for value in table[name][:20])]
    found = {name: places.share_of(table[name], split) for name in candidates}
    best = max(found, key=lambda name: found[name], default=None)
    if best is None or not found[best]:
        example = next((name for name in candidates if name.lower() in FILE_WORDS), None)
        if example is None:
            raise NoFiles(
                f"No column of {path} ({first_few(columns)}) names files that are there; name it with "
                "--data.image_column, and write paths as they are, or relative to the table."
            )
        best = example
    return Listed(path, split, table, best, places.find(table[best], split, path))


def split_column(listed: Listed, settings: DataSettings) -> tuple[str | None, list[str | None]]:
    """-> the column that says which split a row belongs to, if any, and the split of each row"""
    table, count = listed.table, len(listed.files)
    told = {name: split for split, name in split_words(settings).items()}
    for name, values in table.items():
        lower = name.lower()
        if lower in SPLIT_COLUMNS:
            known = {value: told.get(str(value)) or split_called(str(value)) for value in {*map(str, values)}}
            if not any(known.values()):
                continue
            if strange := [value for value, split in known.items() if split is None]:
                raise UserError(
                    f"{listed.path}: the column {name!r} holds {first_few(map(repr, strange))}, which is no split; "
                    "write train, validation or test, or say what it is, as in --data.test_split "
                    f"{strange[0] or 'NAME'}."
                )
            return name, [known[str(value)] for value in values]
        if lower in SPLIT_SWITCHES:
            switch = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False, "": False}
            on = [switch.get(str(value).lower()) for value in values]
            if None not in on:
                return name, [SPLIT_SWITCHES[lower] if value else "train" for value in on]
    return None, [listed.split] * count


def label_candidates(listed: Listed, settings: DataSettings, split: str | None) -> TableValues:
    group = settings.group_column
    if group is not None and group not in listed.table:
        raise UserError(f"--data.group_column: {unknown_name('column', group, [*listed.table])}")
    return {name: values for name, values in listed.table.items() if name not in (listed.image_column, split, group)}


def open_listed(
    tables: Sequence[tuple[Path, str | None]], places: Places, settings: DataSettings, modality: Modality
) -> ImageData:
    """tables: each with the split that its place or name says, or None. places: where files may lie.

    Raises: UserError with the first few rows that are wrong, and what to do about them.
    """
    parts = [read_listed(path, split, places, settings) for path, split in tables]
    first = next((part for part in parts if part.split in ("train", None)), parts[0])
    named, of_rows = split_column(first, settings)
    trained = [place for place, split in enumerate(of_rows) if split in ("train", None)] or range(len(of_rows))
    candidates = label_candidates(first, settings, named)
    labels = find_labels({name: [values[place] for place in trained] for name, values in candidates.items()}, settings)
    rows: dict[str, SplitRows] = {}
    for part in parts:
        column, splits = (named, of_rows) if part is first else split_column(part, settings)
        del column
        missing = [place for place, file in enumerate(part.files) if file is None]
        refuse_rows_without_files(part, missing, settings)
        for place, (file, split) in enumerate(zip(part.files, splits, strict=True)):
            if file is not None:
                rows.setdefault(split or "train", SplitRows()).add(part, place, file)
    aside = {split: found for split, found in rows.items() if split != "train" and not found.labeled(labels)}
    made, dropped = {}, sum(file is None for part in parts for file in part.files)
    for split in ("train", "validation", "test"):
        if split in rows and split not in aside:
            made[split], double = rows[split].table(labels, settings, modality)
            dropped += double
    if not made:
        raise UserError(f"The labels of {first.path} are empty; fill in the {labels.described()}.")
    refuse_files_in_two_splits(made)
    unlabeled = [file for found in aside.values() for file in found.files]
    every = [file for part in parts for file in part.files if file is not None]
    passed = [f"{dropped:,} rows without a file of their own"] if dropped else []
    if left := places.not_among(every):
        names = first_few([os.path.basename(file) for file in left], 3)  # noqa: PTH119
        passed.append(f"{modality.counted(len(left))} without a row ({names})")
    how = f"{settings.name}: {first_few([part.path.name for part in parts])}, files by {first.image_column}, labels by "
    lines = understood(
        how + labels.described(),
        made,
        labels.names,
        labels.problem_type,
        modality,
        passed=passed,
        aside=[*aside],
        set_aside=len(unlabeled),
    )
    set_aside = without_labels(unlabeled, modality=modality, check_finite=settings.check_finite)
    return ImageData(made, labels.names, problem_type=labels.problem_type, unlabeled=set_aside, understood=lines)


def refuse_rows_without_files(part: Listed, missing: Sequence[int], settings: DataSettings) -> None:
    if missing and (settings.on_error == "fail" or len(missing) == len(part.files)):
        raise NoFiles(
            f"{len(missing):,} of {len(part.files):,} rows of {part.path} name no file that is there: "
            f"{first_few([part.row(place) for place in missing], 3)}. Correct the column {part.image_column!r}, name "
            "another with --data.image_column, or leave these rows out with --data.on_error skip."
        )


def refuse_files_in_two_splits(tables: dict[str, ImageTable]) -> None:
    seen: dict[str, str] = {}
    for split, table in tables.items():
        for file in table.items:
            if seen.setdefault(file, split) != split:
                raise UserError(f"{file} has rows in the splits {seen[file]} and {split}; leave it in one of them.")


class SplitRows:
    """The rows of one split, from one table or several."""

    def __init__(self):
        self.files: list[str] = []
        self.places: list[tuple[Listed, int]] = []

    def add(self, part: Listed, place: int, file: str) -> None:
        self.files.append(file)
        self.places.append((part, place))

    def values(self, labels: Labels) -> list[list[Any]]:
        return [[part.table[name][place] for name in labels.columns] for part, place in self.places]

    def labeled(self, labels: Labels) -> bool:
        """Whether any row has a label."""
        tables = {id(part): part for part, _ in self.places}
        if not all(name in part.table for part in tables.values() for name in labels.columns):
            return False
        return not all(labels.is_missing(row) for row in self.values(labels))

    def table(self, labels: Labels, settings: DataSettings, modality: Modality) -> tuple[ImageTable, int]:
        """-> one item a file, and how many rows said what another had said already"""
        values = self.values(labels)
        self.refuse([place for place, row in enumerate(values) if labels.is_missing(row)], "no label", "Fill it in")
        encoded = [self.encoded(labels, row, place) for place, row in enumerate(values)]
        kept: dict[str, int] = {}
        for place, file in enumerate(self.files):
            before = kept.setdefault(file, place)
            if encoded[before] == encoded[place]:
                continue
            if settings.problem_type != "multi_label_classification":
                self.refuse(
                    [before, place],
                    "different labels for one file",
                    "Keep one row of each, or, where several "
                    "labels apply, say --data.problem_type multi_label_classification",
                )
            encoded[before] = np.maximum(encoded[before], encoded[place]).tolist()
        rows = [*kept.values()]
        groups = self.groups(settings, rows)
        table = table_of_files(
            [*kept],
            [encoded[row] for row in rows],
            modality=modality,
            check_finite=settings.check_finite,
            groups=groups,
        )
        return table, len(self.files) - len(rows)

    def encoded(self, labels: Labels, row: Sequence[Any], place: int) -> Any:
        part, number = self.places[place]
        try:
            return labels.of_row(row)
        except KeyError as error:
            known = unknown_name("class", str(error.args[0]), labels.names)
            raise UserError(
                f"{part.path.parent / part.row(number)}: {known} It is none of the training rows."
            ) from None
        except ValueError:
            raise UserError(
                f"{part.path.parent / part.row(number)}: {first_few(map(repr, row))} is not {len(labels.names)} finite "
                "number(s); correct it."
            ) from None

    def groups(self, settings: DataSettings, rows: Sequence[int]) -> list[str] | None:
        if settings.group_by == "folder":
            return [os.path.dirname(self.files[row]) for row in rows]  # noqa: PTH120
        if (column := settings.group_column) is None:
            return None
        values = [
            self.places[row][0].table.get(column, [None] * (self.places[row][1] + 1))[self.places[row][1]]
            for row in rows
        ]
        self.refuse(
            [row for row, value in zip(rows, values, strict=True) if is_empty(value)], f"no {column}", "Fill it in"
        )
        return [text_of(value) for value in values]

    def refuse(self, places: Sequence[int], what: str, way_out: str) -> None:
        if places:
            rows = [self.places[place][0].row(self.places[place][1]) for place in places]
            path = self.places[places[0]][0].path
            raise UserError(
                f"{len(places):,} rows of {path} have {what}: {first_few(rows, 3)}. {way_out}, or remove the rows."
            )
