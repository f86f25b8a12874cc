"""zip and tar archives: unpacked once into the user's cache, and no further than they may."""

import gzip
import hashlib
import lzma
import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from filelock import FileLock

from ...errors import UserError
from ...files import user_cache, written_aside
from .split_names import composed

ARCHIVE_ENDINGS = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
BROKEN_ARCHIVES = (OSError, EOFError, zlib.error, lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile)
BROKEN_ARCHIVES += (RuntimeError, NotImplementedError, ValueError)
GROWTH, ROOM = 20, 2**30  # an archive may unpack to so many times its size, and so many bytes more
CHUNK = 2**20
UNPACKED = "unpacked"  # the folder in the cache
TAR_ENDINGS, GZIP_ENDINGS = (".tar", ".tar.gz", ".tgz"), (".tar.gz", ".tgz")  # of WebDataset


def is_archive(path: Path) -> bool:
    return path.name.lower().endswith(ARCHIVE_ENDINGS)


def stem_of(path: Path) -> str:
    """train.tar.gz -> train"""
    endings = [ending for ending in ARCHIVE_ENDINGS if path.name.lower().endswith(ending)]
    return path.name[: -len(max(endings, key=len))] if endings else path.stem


def unpacked(path: Path, within: str = "") -> Path:
    """The folder in the user's cache that holds what an archive does: found there, or unpacked now.

    within: a folder in that one, into which all is put. Links and devices are left out. Raises: UserError for a broken
    archive, one with paths out of it, and one that grows beyond `GROWTH` times its size.
    """

    def fill(folder: Path, limit: int) -> None:
        print(f"Unpacking {path} into {user_cache() / UNPACKED}", flush=True)
        unpack(path, folder / within, limit=limit)

    return kept(path, fill, within) / within


def without_gzip(path: Path) -> Path:
    """The tar file, in the user's cache, that a .tar.gz holds: members are found in it without reading what is before.

    Raises: UserError as `unpacked`.
    """
    name = f"{stem_of(path)}.tar"

    def fill(folder: Path, limit: int) -> None:
        with gzip.open(path) as file:
            copy_within(cast(IO[bytes], file), folder / name, path, limit=limit)

    return kept(path, fill, name) / name


def kept(path: Path, fill: Callable[[Path, int], None], what: str) -> Path:
    """A folder in the cache for this state of a file, which `fill(folder, limit)` fills with so many bytes at most."""
    about = path.stat()
    key = f"{path.resolve()}\n{about.st_size}\n{about.st_mtime_ns}" + (f"\n{what}" if what else "")
    place = user_cache() / UNPACKED / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}-{path.name}"
    place.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{place}.lock"):
        if place.is_dir():
            return place
        try:
            with written_aside(place) as aside:
                fill(aside, GROWTH * about.st_size + ROOM)
        except UserError:
            raise
        except BROKEN_ARCHIVES as error:
            raise UserError(f"{path} cannot be unpacked: {error}. Copy or download it again.") from error
    return place


def unpack(path: Path, folder: Path, *, limit: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    written = 0
    for name, file in members(path):
        target = folder / safe_name(name, path)
        target.parent.mkdir(parents=True, exist_ok=True)
        written += copy_within(file, target, path, limit=limit, before=written)


def copy_within(file: IO[bytes], target: Path, archive: Path, *, limit: int, before: int = 0) -> int:
    """-> the bytes written, which stay within a limit and the disk. before: those that were written already"""
    room = shutil.disk_usage(target.parent).free
    written = 0
    with target.open("wb") as copy:
        while chunk := file.read(CHUNK):
            written += len(chunk)
            if before + written > limit:
                raise UserError(
                    f"{archive} grows beyond {limit:,} bytes, {GROWTH} times its size and {ROOM:,} more, as archives "
                    "do that are made to fill disks. If you trust it, unpack it yourself and name the folder."
                )
            if written > room:
                raise UserError(f"{archive} does not fit onto the disk of {target}, which has {room:,} bytes left.")
            copy.write(chunk)
    return written


def members(path: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """The files in an archive, one after the other."""
    if path.name.lower().endswith(".zip"):
        with zipfile.ZipFile(path) as archive:
            for one in archive.infolist():
                if one.is_dir() or stat.S_ISLNK(one.external_attr >> 16):
                    continue
                if one.flag_bits & 1:
                    raise UserError(f"{path} is locked by a password; unpack it yourself and name the folder.")
                with archive.open(one) as file:
                    yield one.filename, file
        return
    with tarfile.open(path) as archive:
        for member in archive:
            file: Any = archive.extractfile(member) if member.isreg() else None
            if file is not None:
                yield member.name, file


def safe_name(name: str, archive: Path) -> str:
    """A path that stays below the folder it is put into."""
    written = composed(name).replace("\\", "/")
    parts = PurePosixPath(written).parts
    if not parts or written.startswith("/") or ".." in parts or ":" in parts[0] or "\0" in written:
        raise UserError(f"{archive} holds {name!r}, which would be written outside of its folder; do not trust it.")
    return os.path.join(*parts)  # noqa: PTH118
