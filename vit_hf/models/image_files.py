"""What Pillow leaves to those who read image files: which side is up, and pixels of more than eight bits."""

import re
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from .shapes import UserError

ORIENTATION = 0x0112  # of EXIF
WHOLE_NUMBERS = {1: "B", 3: "H", 4: "I"}  # types of EXIF that a whole number has, as struct calls them
XMP_ORIENTATION = re.compile(rb"tiff:Orientation(?:\s*=\s*[\"']|>)\s*([1-8])")
# Upright from what EXIF says, as Pillow turns an image.
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
SIXTEEN_BITS, SHARES = (0.0, 65535.0), (0.0, 1.0)  # of whole numbers and of floats of which nothing is known


def exif_orientation(exif: bytes) -> int | None:
    """Which side is up, from 1 (upright) to 8, as the first directory says; None for whatever cannot be understood.

    Read here, as Pillow reads all that EXIF holds, and fails over values that have nothing to do with it.
    """
    exif = exif.removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None or len(exif) < 8:
        return None
    (start,) = struct.unpack_from(f"{order}I", exif, 4)
    if start + 2 > len(exif):
        return None
    (count,) = struct.unpack_from(f"{order}H", exif, start)
    for place in range(start + 2, min(start + 2 + 12 * count, len(exif) - 11), 12):
        tag, kind, values = struct.unpack_from(f"{order}HHI", exif, place)
        if tag == ORIENTATION:
            if values != 1 or kind not in WHOLE_NUMBERS:
                return None
            (side,) = struct.unpack_from(order + WHOLE_NUMBERS[kind], exif, place + 8)
            return side if 1 <= side <= 8 else None
    return None


def orientation_of(exif: Any, xmp: Any = None) -> int:
    """What EXIF says, or where it says nothing XMP; 1 (upright) where neither does. It never fails."""
    if isinstance(exif, bytes) and (side := exif_orientation(exif)) is not None:
        return side
    text = xmp.encode(errors="ignore") if isinstance(xmp, str) else xmp
    found = XMP_ORIENTATION.search(text) if isinstance(text, bytes) else None
    return int(found[1]) if found else 1


def orientation_in(info: Mapping[Any, Any]) -> int:
    """As `orientation_of`, from what Pillow found in a file (`image.info`)."""
    exif = info.get("exif")
    if exif is None and isinstance(text := info.get("Raw profile type exif"), str):  # ImageMagick's, in a PNG
        digits = "".join(text.split("\n")[3:])
        exif = bytes.fromhex(digits) if re.fullmatch(r"(?:[0-9a-fA-F]{2})*", digits) else None
    return orientation_of(exif, info.get("xmp") or info.get("XML:com.adobe.xmp"))


def upright(image: Image.Image, orientation: int | None = None) -> Image.Image:
    """The loaded image, turned as its file says."""
    turn = TURNS.get(orientation_in(image.info) if orientation is None else orientation)
    return image if turn is None else image.transpose(turn)


def is_deep(image: Image.Image) -> bool:
    """Whether a pixel is one number of more than eight bits. Pillow reads colors of 16 bits as ones of eight."""
    return image.mode in ("F", "I") or image.mode.startswith("I;")


def in_eight_bits(values: np.ndarray, pixel_range: Sequence[float]) -> np.ndarray:
    """... -> ... (bytes): the lower end of the range is black, the upper one white. What is no number is black."""
    low, high = pixel_range
    scaled = (np.nan_to_num(values.astype(np.float64), nan=low, posinf=low, neginf=low) - low) * (255 / (high - low))
    return scaled.round().clip(0, 255).astype(np.uint8)


def flattened(image: Image.Image, pixel_range: Sequence[float] | None, *, check_finite: bool = False) -> Image.Image:
    """An image of eight bits: as it is, or deep pixels brought into them.

    Raises: UserError where a range is not given and values lie outside the one of their type (0 to 65535, of floats 0
    to 1), and for pixels that are no numbers where that is to be checked.
    """
    if not is_deep(image):
        return image
    values = np.asarray(image)
    finite = np.isfinite(values)
    if check_finite and not finite.all():
        raise UserError("it holds NaN or infinite pixels")
    if pixel_range is None:
        pixel_range = SHARES if values.dtype.kind == "f" else SIXTEEN_BITS
        lowest, highest = (end(values, initial=0, where=finite) for end in (np.min, np.max))
        if lowest < pixel_range[0] or highest > pixel_range[1]:
            raise UserError(
                f"its pixels are numbers from {lowest:g} to {highest:g}, and nothing says which are black and white; "
                f"set pixel_range (in a recipe data.pixel_range), as in [{lowest:g}, {highest:g}]"
            )
    return Image.fromarray(in_eight_bits(values, pixel_range))
