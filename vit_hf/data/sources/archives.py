"""zip and tar archives: unpacked once into the user's cache, and no further than they may."""

import hashlib
import lzma
import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any

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


def is_archive(path: Path) -> bool:
    return path.name.lower().endswith(ARCHIVE_ENDINGS)


def unpacked(path: Path) -> Path:
    """The folder in the user's cache that holds what an archive does: found there, or unpacked now.

    Links and devices are left out. Raises: UserError for a broken archive, one with paths out of it, and one that grows
    beyond `GROWTH` times its size.
    """
    about = path.stat()
    key = f"{path.resolve()}\n{about.st_size}\n{about.st_mtime_ns}"
    place = user_cache() / UNPACKED / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}-{path.name}"
    place.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{place}.lock"):
        if place.is_dir():
            return place
        print(f"Unpacking {path} into {place}", flush=True)
        try:
            with written_aside(place) as aside:
                unpack(path, aside, limit=GROWTH * about.st_size + ROOM)
        except UserError:
            raise
        except BROKEN_ARCHIVES as error:
            raise UserError(f"{path} cannot be unpacked: {error}. Copy or download it again.") from error
    return place


def unpack(path: Path, folder: Path, *, limit: int) -> None:
    room = shutil.disk_usage(folder).free
    written = 0
    for name, file in members(path):
        target = folder / safe_name(name, path)
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as copy:
            while chunk := file.read(CHUNK):
                written += len(chunk)
                if written > limit:
                    raise UserError(
                        f"{path} grows beyond {limit:,} bytes, {GROWTH} times its size and {ROOM:,} more, as archives "
                        "do that are made to fill disks. If you trust it, unpack it yourself and name the folder."
                    )
                if written > room:
                    raise UserError(f"{path} does not fit onto the disk of {folder}, which has {room:,} bytes left.")
                copy.write(chunk)


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
