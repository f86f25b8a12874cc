"""What an image or video is known by whatever its file is called: a hash of its content, remembered between runs."""

import hashlib
import os
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ...files import user_cache
from .tables import ImageTable

WHOLE = 256 * 1024  # bytes, up to which all of a content is hashed
HASHED_PIECES = 4  # of a larger one, evenly from its first byte to its last
TABLE = "hashes (path TEXT PRIMARY KEY, size INTEGER, time INTEGER, hash TEXT)"

FileState = tuple[int, int]  # of a file: its size, and the time of its last change in nanoseconds


def hash_of_content(size: int, read: Callable[[int, int], bytes]) -> str:
    """`read(start, count)` of a content of `size` bytes -> 32 hexadecimal digits.

    Of more than 256 KiB the size and four pieces of 64 KiB, so that a folder of large photos is known in seconds.
    """
    digest = hashlib.blake2b(f"{size}:".encode(), digest_size=16)
    if size <= WHOLE:
        digest.update(read(0, size))
        return digest.hexdigest()
    piece = WHOLE // HASHED_PIECES
    for number in range(HASHED_PIECES):
        digest.update(read((size - piece) * number // (HASHED_PIECES - 1), piece))
    return digest.hexdigest()


def hash_of_file(path: Path) -> str:
    with path.open("rb") as file:

        def read(start: int, count: int) -> bytes:
            file.seek(start)
            return file.read(count)

        return hash_of_content(os.fstat(file.fileno()).st_size, read)


def hash_of_bytes(content: bytes) -> str:
    """The same as of a file that holds them."""
    return hash_of_content(len(content), lambda start, count: content[start : start + count])


def hash_of_source(source: Any) -> str:
    """Of a file, a folder of frames, the bytes of a file, or what is decoded already. Of a file that cannot be read,
    its name: the check before training will say so."""
    if isinstance(source, bytes):
        return hash_of_bytes(source)
    if not isinstance(source, Path):
        pixels = np.ascontiguousarray(source)
        return hash_of_bytes(str((pixels.shape, pixels.dtype.str)).encode() + pixels.tobytes())
    try:
        if source.is_dir():
            frames = sorted(entry for entry in source.iterdir() if entry.is_file() and not entry.name.startswith("."))
            return hash_of_bytes("".join(map(hash_of_file, frames)).encode())
        return hash_of_file(source)
    except OSError:
        return hash_of_bytes(str(source).encode())


def database() -> sqlite3.Connection:
    folder = user_cache()
    folder.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(folder / "hashes.sqlite", timeout=30)
    connection.execute(f"CREATE TABLE IF NOT EXISTS {TABLE}")
    return connection


def remembered(beginning: str) -> dict[str, tuple[int, int, str]]:
    """By path, of those with this beginning, the size, time and hash when it was hashed last; nothing where no disk
    remembers."""
    try:
        with closing(database()) as connection:
            query = "SELECT path, size, time, hash FROM hashes WHERE path >= ? AND path < ?"
            rows = connection.execute(query, (beginning, beginning + "\U0010ffff"))
            return {path: (size, time, known) for path, size, time, known in rows}
    except (OSError, sqlite3.Error):
        return {}


def remember(rows: Sequence[tuple[str, int, int, str]]) -> None:
    try:
        with closing(database()) as connection, connection:
            connection.executemany("INSERT OR REPLACE INTO hashes VALUES (?, ?, ?, ?)", rows)
    except (OSError, sqlite3.Error):
        return


def state_of(source: Any) -> FileState | None:
    """None for what is no file, and so is not remembered."""
    if not isinstance(source, Path) or not source.is_file():
        return None
    about = source.stat()
    return about.st_size, about.st_mtime_ns


def with_hashes(table: ImageTable) -> ImageTable:
    """The same images, each with the hash of its content."""
    if table.hashes is not None:
        return table
    known: dict[str, tuple[int, int, str]] = {}
    new: list[tuple[str, int, int, str]] = []
    if len(table) and isinstance(table.source_of(0)[0], Path):
        known = remembered(os.path.commonpath([str(table.source_of(row)[0].absolute()) for row in range(len(table))]))

    def find(index: int) -> str:
        source, _ = table.source_of(index)
        if (state := state_of(source)) is None:
            return hash_of_source(source)
        *then, found = known.get(path := str(source.absolute()), (None, None, ""))
        if tuple(then) != state:
            found = hash_of_source(source)
            new.append((path, *state, found))
        return found

    hashes = np.array(list(table.each(find, f"Recognizing {table.modality.plural}")), dtype=np.str_)
    if new:
        remember(new)
    return replace(table, hashes=hashes)
