"""An image of which no more than the header is read until its pixels are wanted, and then as few of them as will do."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from PIL import Image

from ...models.image_files import flattened, upright
from .files import (
    USUAL_READING,
    Reading,
    UnreadableImage,
    bare_jpeg,
    decode,
    jpeg_orientation,
    named,
    opened_image,
    refuse_large,
    with_channels,
)

__all__ = ["UnreadableImage", "open_picture"]

Computed = TypeVar("Computed")

# `pip install vit_hf[fast]` brings it.
simplejpeg: Any = import_module("simplejpeg") if find_spec("simplejpeg") else None

# Upright from what EXIF says, as an operation on rows and columns.
UPRIGHT: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: np.rot90(pixels, 2).swapaxes(0, 1),
    8: lambda pixels: np.rot90(pixels),
}
ON_THEIR_SIDES = (5, 6, 7, 8)
FACTORS = (8, 4, 2)  # by which a JPEG can be decoded smaller
JPEG = b"\xff\xd8\xff"  # its first bytes


class Picture(Protocol):
    """size: height and width, upright."""

    @property
    def size(self) -> tuple[int, int]: ...

    def pixels(self, channels: int, factor: int = 1) -> np.ndarray:
        """-> h w c, bytes: about a `factor`-th of the size where the format can do that, else the whole size."""
        ...


class computed_once(Generic[Computed]):
    """As functools.cached_property, which before Python 3.12 holds one lock for all pictures: threads decoded one after
    another, and a loader's process that was forked meanwhile waited for ever.
    """

    def __init__(self, compute: Callable[[Any], Computed]):
        self.compute = compute

    def __get__(self, picture: Any, kind: type | None = None) -> Computed:
        value = vars(picture)[self.compute.__name__] = self.compute(picture)
        return value


@dataclass(frozen=True)
class FastJpeg:
    """A JPEG of YCbCr or gray, that simplejpeg decodes; whatever it stumbles over is left to Pillow."""

    data: bytes
    stored: tuple[int, int]
    gray: bool
    orientation: int
    name: str
    reading: Reading

    @property
    def otherwise(self) -> Picture:
        return PillowJpeg(self.data, self.name, self.orientation, self.reading)

    @property
    def size(self) -> tuple[int, int]:
        height, width = self.stored
        return (width, height) if self.orientation in ON_THEIR_SIDES else (height, width)

    def pixels(self, channels: int, factor: int = 1) -> np.ndarray:
        if channels not in (1, 3) or (channels == 1 and not self.gray):
            return self.otherwise.pixels(channels, factor)
        height, width = (-(-side // factor) for side in self.stored)
        space = "GRAY" if self.gray else "RGB"
        try:
            # min_factor allows a power of two at most as large as was asked for; 1 means no scaling.
            decoded = simplejpeg.decode_jpeg(self.data, space, min_height=height, min_width=width, min_factor=factor)
        except ValueError:
            return self.otherwise.pixels(channels, factor)
        upright = UPRIGHT.get(self.orientation, lambda pixels: pixels)(decoded)
        return np.ascontiguousarray(np.repeat(upright, channels, axis=2) if self.gray else upright)


@dataclass(frozen=True)
class PillowJpeg:
    """A JPEG that Pillow decodes, at a part of its size where that is wanted."""

    data: bytes
    name: str
    orientation: int
    reading: Reading

    @property
    def size(self) -> tuple[int, int]:
        with named(self.data, self.name), opened_image(self.bare, self.reading) as image:
            width, height = image.size
        return (width, height) if self.orientation in ON_THEIR_SIDES else (height, width)

    @computed_once
    def bare(self) -> bytes:
        return bare_jpeg(self.data)

    def pixels(self, channels: int, factor: int = 1) -> np.ndarray:
        with named(self.data, self.name), opened_image(self.bare, self.reading) as image:
            if factor > 1:
                image.draft(image.mode, (image.width // factor or 1, image.height // factor or 1))
            image.load()
            return as_array(with_channels(upright(image, self.orientation), channels))


@dataclass(frozen=True)
class PillowPicture:
    """Anything else that Pillow reads: decoded once, as many formats say how they are turned behind their pixels."""

    source: Path | bytes
    name: str
    reading: Reading = USUAL_READING

    @computed_once
    def decoded(self) -> Image.Image:
        with named(self.source, self.name):
            return decode(self.source, self.reading)

    @property
    def size(self) -> tuple[int, int]:
        return self.decoded.height, self.decoded.width

    def pixels(self, channels: int, factor: int = 1) -> np.ndarray:
        with named(self.source, self.name):
            return as_array(with_channels(self.decoded, channels))


@dataclass(frozen=True)
class OpenPicture:
    """An image that is decoded already."""

    image: Image.Image

    @property
    def size(self) -> tuple[int, int]:
        return self.image.height, self.image.width

    def pixels(self, channels: int, factor: int = 1) -> np.ndarray:
        return as_array(with_channels(self.image, channels))


@dataclass(frozen=True)
class StoredPicture:
    """Pixels that are decoded already."""

    stored: np.ndarray  # h w c

    @property
    def size(self) -> tuple[int, int]:
        return self.stored.shape[0], self.stored.shape[1]

    def pixels(self, channels: int, factor: int = 1) -> np.ndarray:
        return self.stored


def as_array(image: Image.Image) -> np.ndarray:
    """-> h w c"""
    return np.atleast_3d(np.array(image))


def as_image(pixels: np.ndarray) -> Image.Image:
    """h w c -> an image"""
    return Image.fromarray(pixels if pixels.shape[2] > 1 else pixels[..., 0])


def jpeg_data(source: Path | bytes) -> bytes | None:
    """The bytes of a file that begins as a JPEG does; None for any other, which Pillow reads as it needs it."""
    if isinstance(source, bytes):
        return source if source.startswith(JPEG) else None
    try:
        with source.open("rb") as file:
            start = file.read(len(JPEG))
            return start + file.read() if start == JPEG else None
    except OSError:  # Pillow will say why
        return None


def open_picture(source: Path | bytes | Image.Image, name: str, reading: Reading = USUAL_READING) -> Picture:
    """The header of a file, or an image that is decoded already.

    Raises: UnreadableImage. Files may turn out to be broken only when their pixels are wanted.
    """
    if isinstance(source, Image.Image):
        with named(b"?", name):
            return OpenPicture(flattened(source, reading.pixel_range, check_finite=reading.check_finite))
    if (data := jpeg_data(source)) is None:
        return PillowPicture(source, name, reading)
    orientation = jpeg_orientation(data)
    height, width, space = 0, 0, ""
    if simplejpeg is not None:
        with suppress(ValueError):
            height, width, space, _ = simplejpeg.decode_jpeg_header(data)
    if space not in ("YCbCr", "Gray"):
        return PillowJpeg(data, name, orientation, reading)
    if height * width > reading.max_pixels:
        with named(data, name):
            refuse_large(height * width, reading)
    return FastJpeg(data, (height, width), space == "Gray", orientation, name, reading)
