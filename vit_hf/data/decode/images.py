"""One image, from a file or from bytes, to pixels of 8 bits; whatever cannot be read says its name."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image, ImageOps

from ...errors import UserError
from ...models.video_frames import BROKEN, MODES
from .readers import missing_reader, register_readers

register_readers()


class UnreadableImage(UserError):
    """A file that is empty, truncated, no image at all, or holds pixels that are no numbers."""


def read_image(source: Path | bytes, name: str, *, check_finite: bool = False, factor: int = 1) -> Image.Image:
    """-> an image of 8 bits a channel, upright as its EXIF says; animations give their first frame.

    16-bit grays are divided by 257. Floating-point grays are taken as 0 to 1 where they fit, else as 0 to 255.
    A JPEG is decoded at a `factor`-th of its size (1, 2, 4 or 8).
    """
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
            if factor > 1:
                image.draft(image.mode, (image.width // factor or 1, image.height // factor or 1))
            image.load()
            upright = ImageOps.exif_transpose(image)
        return eight_bits(upright, check_finite=check_finite)
    except BROKEN as error:
        raise UnreadableImage(f"{name}: {reason(source, error)}") from error


def eight_bits(image: Image.Image, *, check_finite: bool) -> Image.Image:
    """PIL would clip deep grays at 255, so that a 16-bit scan becomes white."""
    if image.mode not in ("F", "I") and not image.mode.startswith("I;"):
        return image
    values = np.asarray(image, dtype=np.float64)
    if not np.isfinite(values).all():
        if check_finite:
            raise UserError("it holds NaN or infinite pixels")
        values = np.nan_to_num(values, posinf=0.0, neginf=0.0)
    if image.mode != "F":
        values = values / 257
    elif values.max(initial=0) <= 1:
        values = values * 255
    return Image.fromarray(values.round().clip(0, 255).astype(np.uint8))


def with_channels(image: Image.Image, channels: int) -> Image.Image:
    """-> gray, RGB or RGBA for 1, 3 or 4 channels"""
    if channels not in MODES:
        raise UserError(
            f"Image files have 1, 3 or 4 channels, and the model takes {channels}; call the model with pixel_values."
        )
    return image if image.mode == MODES[channels] else image.convert(MODES[channels])


def reason(source: Path | bytes, error: Exception) -> str:
    """Why a file could not be read, without repeating its name."""
    if isinstance(source, Path) and not source.exists():
        return "it does not exist"
    size = len(source) if isinstance(source, bytes) else source.stat().st_size
    if size == 0:
        return "it is empty"
    if isinstance(error, Image.UnidentifiedImageError):
        return missing_reader(source) or "it is not an image that Pillow can open"
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


# `pip install vit_hf[fast]` brings it.
simplejpeg: Any = import_module("simplejpeg") if find_spec("simplejpeg") else None

ORIENTATION = 0x0112  # of EXIF
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


class Picture(Protocol):
    """size: height and width, upright."""

    @property
    def size(self) -> tuple[int, int]: ...

    def pixels(self, channels: int, factor: int = 1) -> np.ndarray:
        """-> h w c, bytes: about a `factor`-th of the size where the format can do that, else the whole size."""
        ...


@dataclass(frozen=True)
class FastJpeg:
    """A JPEG of YCbCr or gray, that simplejpeg decodes; whatever it stumbles over is left to Pillow."""

    data: bytes
    stored: tuple[int, int]
    gray: bool
    orientation: int
    otherwise: Picture

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
class PillowPicture:
    """Anything that Pillow reads."""

    source: Path | bytes
    name: str
    check_finite: bool = False

    @property
    def size(self) -> tuple[int, int]:
        try:
            with Image.open(io.BytesIO(self.source) if isinstance(self.source, bytes) else self.source) as image:
                width, height = image.size
                turned = image.getexif().get(ORIENTATION) in ON_THEIR_SIDES
        except BROKEN as error:
            raise UnreadableImage(f"{self.name}: {reason(self.source, error)}") from error
        return (width, height) if turned else (height, width)

    def pixels(self, channels: int, factor: int = 1) -> np.ndarray:
        image = read_image(self.source, self.name, check_finite=self.check_finite, factor=factor)
        return as_array(with_channels(image, channels))


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


def orientation_of(data: bytes) -> int:
    """What EXIF or XMP say about the side that is up; 1 is upright."""
    if b"Exif" not in data and b"Orientation" not in data:
        return 1
    with Image.open(io.BytesIO(data)) as image:
        return image.getexif().get(ORIENTATION, 1)


def open_picture(source: Path | bytes | Image.Image, name: str, *, check_finite: bool = False) -> Picture:
    """The header of a file, or an image that is decoded already.

    Raises: UnreadableImage. Files may turn out to be broken only when their pixels are wanted.
    """
    if isinstance(source, Image.Image):
        return OpenPicture(source)
    by_pillow = PillowPicture(source, name, check_finite)
    if simplejpeg is None:
        return by_pillow
    try:
        data = source if isinstance(source, bytes) else source.read_bytes()
        if not simplejpeg.is_jpeg(data):
            return by_pillow
        height, width, space, _ = simplejpeg.decode_jpeg_header(data)
        if space not in ("YCbCr", "Gray"):
            return by_pillow
        # What Pillow refuses as a decompression bomb is for Pillow to refuse.
        if Image.MAX_IMAGE_PIXELS is not None and height * width > Image.MAX_IMAGE_PIXELS:
            return by_pillow
        return FastJpeg(data, (height, width), space == "Gray", orientation_of(data), by_pillow)
    except BROKEN:
        return by_pillow
