"""Prepared pixels of a whole split, in memory or in a file that is mapped into it."""

import errno
import hashlib
import json
import shutil
import zlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from torch import Tensor

from ...errors import UserError
from ...files import user_cache, written_aside
from ..sources.tables import ImageTable


@dataclass(frozen=True)
class PixelStore:
    """Images of any shapes, one after the other: the bytes of image i are from offsets[i] to offsets[i + 1]."""

    flat: np.ndarray
    shapes: np.ndarray  # n 3 of images h w c or c h w, n 4 of clips

    @cached_property
    def offsets(self) -> np.ndarray:
        return np.concatenate([[0], np.cumsum(self.shapes.prod(axis=1))])

    @cached_property
    def alike(self) -> bool:
        """Whether all have the same shape."""
        return bool((self.shapes == self.shapes[:1]).all())

    @classmethod
    def of(cls, images: Sequence[np.ndarray]) -> "PixelStore":
        shapes = np.array([image.shape for image in images], dtype=np.int64)
        return cls(np.concatenate([image.reshape(-1) for image in images]), shapes)

    def __len__(self) -> int:
        return len(self.shapes)

    def image(self, row: int) -> np.ndarray:
        return self.flat[self.offsets[row] : self.offsets[row + 1]].reshape(self.shapes[row])

    def all(self) -> np.ndarray:
        """-> n ...: of images that are alike"""
        return self.flat.reshape(len(self), *self.shapes[0])

    def batch(self, rows: np.ndarray) -> Tensor:
        """b -> b ...: of images that are alike"""
        return torch.from_numpy(self.all()[rows])


@dataclass(frozen=True)
class StoredSplit:
    """The pixels (where they are kept), the rows of the images that can be read, and a line for each of the rest.

    undecoded: for each of the rows, whether its pixels were never decoded, so that nobody knows; None: all were, or
    nobody asks.
    """

    store: PixelStore | None
    rows: np.ndarray
    unreadable: list[str]
    undecoded: np.ndarray | None = None

    def in_memory(self) -> "StoredSplit":
        """A copy that needs no file."""
        if self.store is None:
            return self
        return replace(self, store=PixelStore(np.array(self.store.flat), self.store.shapes))


FORMAT = "vit_hf pixels 3"
CHECKED_WHOLE = 64 * 1024**2  # bytes; of a larger cache some images are checked at every start
CHECKED = 256


class DamagedCache(UserError):
    """A cache that is not what it says."""


def cache_folder(setting: bool | str) -> Path:
    """Where caches lie: as the recipe says, or in the user's folder of caches."""
    if isinstance(setting, str):
        return Path(setting).expanduser()
    return user_cache()


def identity(table: ImageTable) -> str:
    """A hash of which images these are: paths, sizes and times of files, the fingerprint of a data set, or pixels."""
    digest = hashlib.sha256()
    if fingerprint := getattr(table.items, "_fingerprint", None):
        digest.update(fingerprint.encode() + table.order.tobytes())
        return digest.hexdigest()
    for index in range(len(table)):
        source, name = table.source_of(index)
        digest.update(name.encode())
        if isinstance(source, Path):
            for file in sorted(source.iterdir()) if source.is_dir() else [source]:
                about = file.stat() if file.exists() else None
                digest.update(f"{file.name}{about and (about.st_size, about.st_mtime_ns)}".encode())
        else:
            digest.update(source if isinstance(source, bytes) else source.tobytes())
    return digest.hexdigest()


def key_of(table: ImageTable, transform: dict[str, Any]) -> str:
    """The name of the cache of these images after this transform."""
    said = {"format": FORMAT, "images": identity(table), "reading": asdict(table.reading)}
    text = json.dumps({**said, **transform}, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def open_or_build(
    folder: Path, table: ImageTable, transform: dict[str, Any], prepare: Callable[[Any], np.ndarray], what: str
) -> StoredSplit:
    """The cache of these images, built if there is none or a damaged one.

    Raises: UserError where something else is in its place, or the disk is full.
    """
    place = folder / key_of(table, transform)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise UserError(f"--data.cache {folder} is a file; name a folder.") from error
    with FileLock(f"{place}.lock"):
        if place.exists():
            try:
                return open_cache(place)
            except DamagedCache as error:
                print(f"The cache {place} is damaged ({error}); it is built again.", flush=True)
                shutil.rmtree(place)
        try:
            write_cache(place, table, prepare, what)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            raise UserError(
                f"The disk of {folder} is full; free some of it, or name a folder elsewhere: --data.cache."
            ) from error
        return open_cache(place)


def open_cache(place: Path) -> StoredSplit:
    """Raises: DamagedCache where a file is missing, cut or changed; UserError where it is no cache of ours at all."""
    if not (place / "about.json").is_file():
        raise UserError(f"{place} is no cache that vit_hf wrote; move it away, or name another folder: --data.cache.")
    try:
        about = json.loads((place / "about.json").read_text(encoding="utf-8"))
        shapes, rows, sums = (np.load(place / f"{name}.npy") for name in ("shapes", "rows", "sums"))
        pixels = place / "pixels.bin"
        flat = np.memmap(pixels, dtype=np.uint8, mode="c") if pixels.stat().st_size else np.zeros(0, dtype=np.uint8)
    except (OSError, ValueError) as error:
        raise DamagedCache(error) from error
    if about.get("format") != FORMAT or about.get("key") != place.name:
        raise DamagedCache(f"it says {about.get('format')!r} and {about.get('key')!r}")
    store = PixelStore(flat, shapes)
    if not len(shapes) == len(rows) == len(sums) or store.offsets[-1] != len(flat):
        raise DamagedCache(f"{len(flat)} bytes of pixels, and not {store.offsets[-1]}")
    every = range(len(store)) if len(flat) <= CHECKED_WHOLE else np.linspace(0, len(store) - 1, CHECKED, dtype=int)
    for row in every:
        if checksum(store.image(row)) != sums[row]:
            raise DamagedCache(f"image {row} has changed")
    return StoredSplit(store, rows, about["unreadable"])


def checksum(pixels: np.ndarray) -> int:
    return zlib.crc32(pixels.tobytes())


def write_cache(place: Path, table: ImageTable, prepare: Callable[[Any], np.ndarray], what: str) -> None:
    """Write all images beside the place, and rename the folder once it is whole."""
    shapes, rows, sums, unreadable = [], [], [], []
    with written_aside(place) as aside:
        with (aside / "pixels.bin").open("wb") as file:
            for row, (pixels, line) in enumerate(table.read_each(prepare, f"Caching {what}")):
                if line is not None:
                    unreadable.append(line)
                    continue
                file.write(pixels.tobytes())
                shapes.append(pixels.shape)
                rows.append(row)
                sums.append(checksum(pixels))
        np.save(aside / "shapes.npy", np.array(shapes or np.zeros((0, 3)), dtype=np.int64))
        np.save(aside / "rows.npy", np.array(rows, dtype=np.int64))
        np.save(aside / "sums.npy", np.array(sums, dtype=np.int64))
        about = {"format": FORMAT, "key": place.name, "unreadable": unreadable}
        (aside / "about.json").write_text(json.dumps(about), encoding="utf-8")
