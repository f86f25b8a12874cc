"""One image, from a file or from bytes, to pixels of 8 bits; whatever cannot be read says its name."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from ..models.video_frames import MODES

# What PIL's decoders raise on broken files; a decompression bomb is a file that claims to be huge.
BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, IndexError, KeyError, TypeError)
BROKEN += (Image.DecompressionBombError, OverflowError, MemoryError)


class UnreadableImage(ValueError):
    """A file that is empty, truncated, no image at all, or holds pixels that are no numbers."""


def read_image(source: Path | bytes, name: str, *, check_finite: bool = False, factor: int = 1) -> Image.Image:
    """-> an image of 8 bits a channel, upright as its EXIF says; animations give their first frame.

    16-bit greys are divided by 257. Floating-point greys are taken as 0 to 1 where they fit, else as 0 to 255.
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
    """PIL would clip deep greys at 255, so that a 16-bit scan becomes white."""
    if image.mode not in ("F", "I") and not image.mode.startswith("I;"):
        return image
    values = np.asarray(image, dtype=np.float64)
    if not np.isfinite(values).all():
        if check_finite:
            raise ValueError("it holds NaN or infinite pixels")
        values = np.nan_to_num(values, posinf=0.0, neginf=0.0)
    if image.mode != "F":
        values = values / 257
    elif values.max(initial=0) <= 1:
        values = values * 255
    return Image.fromarray(values.round().clip(0, 255).astype(np.uint8))


def with_channels(image: Image.Image, channels: int) -> Image.Image:
    """-> grey, RGB or RGBA for 1, 3 or 4 channels"""
    if channels not in MODES:
        raise ValueError(
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
        return "it is not an image that Pillow can open"
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
