"""Which images can be read, found out before the first step, in seconds: what was decoded once is known by its content,
and of the others most are left until somebody wants their pixels."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from itertools import islice
from typing import Any

import numpy as np

from ..decode.files import Reading, UnreadableImage
from ..sources.contents import database, with_hashes
from ..sources.tables import ImageTable
from .cache import StoredSplit

ASKED_AT_ONCE = 500  # contents; some builds of SQLite take no more than 999
READ, PUT_OFF = "", None


def keys_of(table: ImageTable) -> list[str]:
    """What the decoding of each image is remembered by: its content, and what may be refused of it."""
    reading = table.reading
    limits = f" {reading.max_pixels} {reading.check_finite}" * (reading != Reading(pixel_range=reading.pixel_range))
    limits += f" {reading.frames}" * (reading.frames is not None)
    hashes = with_hashes(table).hashes
    assert hashes is not None
    return [f"{content}{limits}" for content in hashes.tolist()]


def chunks(keys: Sequence[str]) -> Iterator[list[str]]:
    each = iter(keys)
    while some := [*islice(each, ASKED_AT_ONCE)]:
        yield some


def decoded_before(keys: Sequence[str]) -> set[str]:
    """Those of the contents that could be decoded once; none where no disk remembers."""
    found: set[str] = set()
    try:
        with closing(decoded_contents()) as connection:
            for some in chunks(keys):
                marks = ", ".join("?" * len(some))
                found |= {key for (key,) in connection.execute(f"SELECT key FROM decoded WHERE key IN ({marks})", some)}
    except (OSError, sqlite3.Error):
        return found
    return found


def remember_decoded(keys: Sequence[str]) -> None:
    try:
        with closing(decoded_contents()) as connection, connection:
            connection.executemany("INSERT OR IGNORE INTO decoded VALUES (?)", [(key,) for key in keys])
    except (OSError, sqlite3.Error):
        return


def decoded_contents() -> sqlite3.Connection:
    connection = database()
    connection.execute("CREATE TABLE IF NOT EXISTS decoded (key TEXT PRIMARY KEY) WITHOUT ROWID")
    return connection


def check_split(table: ImageTable, read: Callable[[Any], Any], *, split: str, decode_all: bool) -> StoredSplit:
    """Decode what looks broken, and what says nothing of its end; with `decode_all` whatever was never decoded.

    read: what decodes an opened item, as far as training needs it.
    """
    keys = keys_of(table)
    known = decoded_before(keys)

    def check(row: int) -> str | None:
        """`READ`, `PUT_OFF`, or why not."""
        if keys[row] in known:
            return READ
        source, _ = table.source_of(row)
        if not decode_all and table.modality.looks_whole(source, table.reading):
            return PUT_OFF
        try:
            read(table.open(row))
        except UnreadableImage as error:
            return str(error)
        return READ

    verdicts = list(table.each(check, f"Checking {split} {table.modality.plural}"))
    remember_decoded([key for key, verdict in zip(keys, verdicts, strict=True) if verdict == READ and key not in known])
    rows = np.array([row for row, verdict in enumerate(verdicts) if not verdict], dtype=np.int64)
    put_off = np.array([verdict is PUT_OFF for verdict in verdicts], dtype=bool)
    return StoredSplit(None, rows, [verdict for verdict in verdicts if verdict], put_off[rows])
