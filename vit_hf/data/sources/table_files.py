"""Tables as people save them, CSV, TSV, JSON, JSON lines and parquet, as columns of values."""

import csv
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ...errors import UserError, first_few
from ...files import IMAGE_ENDINGS
from .folders import suffix_of

TableValues = dict[str, list[Any]]
TABLE_ENDINGS = ("csv", "tsv", "jsonl", "ndjson", "json", "parquet")
DELIMITERS = ",;\t|"


def read_table(path: Path) -> TableValues:
    """-> column -> a value for each row; of CSV and TSV as they are written. Raises: UserError for a broken one."""
    ending = suffix_of(path.name)
    try:
        if ending == "parquet":
            return read_parquet(path)
        text = read_text(path)
        table = of_text(text, path) if ending in ("csv", "tsv", "txt") else of_json(text, path, lines=ending[-1] != "n")
    except (OSError, csv.Error, RecursionError) as error:
        raise UserError(f"{path} cannot be read: {error}") from error
    if not table or not len(next(iter(table.values()))):
        raise UserError(f"{path} has no rows; it needs one for each image, below a line of column names.")
    return table


def read_text(path: Path) -> str:
    data = path.read_bytes()
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path} is not in UTF-8 (byte {error.start:,}); save it so, as programs of tables offer it."
        ) from error


def of_text(text: str, path: Path) -> TableValues:
    """Rows of one length below a line of names; where the first line names an image, columns are called by number."""
    lines = text.splitlines()
    first = next((line for line in lines if line.strip()), "")
    tabs = suffix_of(path.name) == "tsv" and "\t" in first
    delimiter = "\t" if tabs else max(DELIMITERS, key=lambda sign: (first.count(sign), -DELIMITERS.index(sign)))
    rows = [row for row in csv.reader(text.splitlines(keepends=True), delimiter=delimiter) if any(row)]
    if not rows:
        return {}
    names = [name.strip() for name in rows[0]]
    if len(rows) == 1:
        return {}
    if any(suffix_of(name) in IMAGE_ENDINGS for name in names):
        names = [f"column_{number}" for number in range(1, len(names) + 1)]
    else:
        rows = rows[1:]
    if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
        raise UserError(f"{path} has several columns called {first_few(twice)}; give each a name of its own.")
    for number, row in enumerate(rows, start=2):
        if len(row) != len(names):
            raise UserError(
                f"{path} has {len(names)} columns ({first_few(names)}), and {len(row)} values in row {number}: "
                f"{first_few(row)}. Put values that hold {delimiter!r} into quotes."
            )
    return {
        name: [value.strip() for value in column] for name, column in zip(names, zip(*rows, strict=True), strict=True)
    }


def of_json(text: str, path: Path, *, lines: bool) -> TableValues:
    """Objects, one a line or in a list; or a list for each column; or the label of each file."""
    try:
        if lines and not text.lstrip().startswith("["):
            records = [json.loads(line) for line in text.splitlines() if line.strip()]
        else:
            records = json.loads(text)
    except ValueError as error:
        raise UserError(f"{path} is no JSON{' lines' * lines}: {error}") from error
    if isinstance(records, dict):
        lists = all(isinstance(value, list) for value in records.values())
        if lists and not any(suffix_of(name) in IMAGE_ENDINGS for name in records):
            return records
        return {"file": [*records], "label": [*records.values()]}
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise UserError(
            f"{path} holds no objects; it needs one for each image, as in {{'file': 'a.jpg', 'label': 'cat'}}."
        )
    names = dict.fromkeys(name for record in records for name in record)
    return {name: [record.get(name) for record in records] for name in names}


def read_parquet(path: Path) -> TableValues:
    import pyarrow
    from pyarrow import parquet

    try:
        return parquet.read_table(path).to_pydict()
    except pyarrow.ArrowException as error:
        raise UserError(f"{path} cannot be read: {error}") from error


def holds_pictures(path: Path) -> bool:
    """Whether a parquet file holds the bytes of images, and not paths of files; or is so broken that nobody knows."""
    import pyarrow
    from pyarrow import parquet

    try:
        schema = parquet.read_schema(path)
    except (pyarrow.ArrowException, OSError):
        return True
    kinds: Iterable[Any] = (field.type for field in schema)
    types = pyarrow.types
    return any(types.is_binary(kind) or types.is_large_binary(kind) or types.is_struct(kind) for kind in kinds)
