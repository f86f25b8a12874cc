"""Whether a file looks whole, by its header and its end, which take a fraction of the time that its pixels do."""

import io
import struct
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from .files import Reading, opened_image

END_READ = 4096  # bytes; some cameras fill a JPEG up with zeros
PNG_END = b"\0\0\0\0IEND\xaeB`\x82"


def jpeg_is_whole(start: bytes, end: bytes, size: int) -> bool:
    return end.rstrip(b"\0").endswith(b"\xff\xd9")


def png_is_whole(start: bytes, end: bytes, size: int) -> bool:
    return end.endswith(PNG_END)


def gif_is_whole(start: bytes, end: bytes, size: int) -> bool:
    return end.rstrip(b"\0").endswith(b";")


def webp_is_whole(start: bytes, end: bytes, size: int) -> bool:
    (said,) = struct.unpack_from("<I", start, 4)
    return said + 8 <= size


def bmp_is_whole(start: bytes, end: bytes, size: int) -> bool:
    (said,) = struct.unpack_from("<I", start, 2)
    return 0 < said <= size


# By what Pillow calls the format; all of them hold whole numbers of eight or sixteen bits.
IS_WHOLE: dict[str, Callable[[bytes, bytes, int], bool]] = {
    "JPEG": jpeg_is_whole,
    "MPO": jpeg_is_whole,
    "PNG": png_is_whole,
    "GIF": gif_is_whole,
    "WEBP": webp_is_whole,
    "BMP": bmp_is_whole,
}


def start_and_end(file: BinaryIO) -> tuple[bytes, bytes, int]:
    """-> the first bytes, the last ones, and how many there are"""
    start, size = file.read(32), file.seek(0, io.SEEK_END)
    file.seek(max(0, size - END_READ))
    return start, file.read(), size


def looks_whole(source: Path | bytes, reading: Reading) -> bool:
    """Whether nothing is to be said against the pixels of an image before they are decoded.

    Of a format that does not say where it ends, and of whatever is strange, False: only decoding tells.
    """
    try:
        with opened_image(source, reading) as image:
            is_whole = IS_WHOLE.get(image.format or "")
        if is_whole is None:
            return False
        with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as file:
            return is_whole(*start_and_end(file))
    except Exception:  # noqa: BLE001, of whatever kind: decoding says it by the name of the file
        return False
