"""One image file, or the bytes of one, to an upright image of eight bits; what cannot be read says its name.

Every image is read here, whoever wants it: to check it, to train on it, to predict from it or to draw it.
"""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from PIL import Image, UnidentifiedImageError

from ...errors import UserError
from ...models.image_files import ORIENTATION, flattened, orientation_of, upright
from ...models.video_frames import MODES
from .readers import missing_reader, register_readers

MAX_PIXELS = 178_956_970  # what Pillow refuses as a decompression bomb unless told otherwise


class UnreadableImage(UserError):
    """A file that is empty, truncated, no image at all, too large, or holds pixels that are no numbers."""


@dataclass(frozen=True)
class Reading:
    """What the data section of a recipe says of reading a file.

    check_finite: refuse pixels that are no numbers. pixel_range: as the processor's, of images of more than eight bits.
    max_pixels: of larger images not one is decoded. frames: which files of a folder are the frames of a video.
    """

    check_finite: bool = False
    pixel_range: tuple[float, float] | None = None
    max_pixels: int = MAX_PIXELS
    frames: str | None = None


USUAL_READING = Reading()


class PillowLimit:
    """Pillow's limit of pixels, which is one for the whole process: ours while we read, and then again as it was."""

    def __init__(self) -> None:
        self.lock, self.readers, self.before = Lock(), 0, Image.MAX_IMAGE_PIXELS

    @contextmanager
    def at_least(self, pixels: int) -> Iterator[None]:
        with self.lock:
            if not self.readers:
                self.before = Image.MAX_IMAGE_PIXELS
            self.readers += 1
            if Image.MAX_IMAGE_PIXELS is not None:
                Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS, pixels)
        try:
            yield
        finally:
            with self.lock:
                self.readers -= 1
                if not self.readers:
                    Image.MAX_IMAGE_PIXELS = self.before


LIMIT = PillowLimit()


def refuse_large(pixels: int, reading: Reading) -> None:
    if pixels > reading.max_pixels:
        raise UserError(
            f"it has {pixels:,} pixels, and no more than {reading.max_pixels:,} are read; set max_pixels to {pixels} "
            "or more (--data.max_pixels, of predict and serve --max-pixels)"
        )


@contextmanager
def opened_image(source: Path | bytes, reading: Reading) -> Iterator[Image.Image]:
    """The header of a file, of which pixels may be read within the context."""
    # Pillow warns from its limit on, and refuses from twice as much; ours is told first, and in a sentence.
    with LIMIT.at_least(2 * reading.max_pixels):
        try:
            with open_by_pillow(source) as image:
                refuse_large(image.width * image.height, reading)
                if not image.width * image.height:
                    raise UserError("it has no pixels")
                if image.format == "TIFF":
                    forget_exif(image)
                yield image
        except Image.DecompressionBombError as error:
            if found := re.search(r"(\d+) pixels", str(error)):
                refuse_large(int(found[1]), reading)
            raise


def open_by_pillow(source: Path | bytes) -> Image.Image:
    """As Pillow opens it, or, once something comes that it does not know, by the readers that are installed beside."""
    try:
        return Image.open(io.BytesIO(source) if isinstance(source, bytes) else source)
    except UnidentifiedImageError:
        register_readers()
    return Image.open(io.BytesIO(source) if isinstance(source, bytes) else source)


def forget_exif(image: Image.Image) -> None:
    """Of a TIFF all but the side that is up: Pillow reads the rest while it decodes the pixels, and fails over it."""
    try:
        found = image.getexif()
    except Exception:  # noqa: BLE001, whatever it fails over, the second time it is content with what it has read
        found = image.getexif()
    for tag in [tag for tag in found if tag != ORIENTATION]:
        del found[tag]


def decode(source: Path | bytes, reading: Reading) -> Image.Image:
    """-> of eight bits and upright; animations give their first frame"""
    with opened_image(source, reading) as image:
        image.load()
        # Pillow turns a TIFF by itself.
        turned = image if image.format == "TIFF" else upright(image)
        return flattened(turned, reading.pixel_range, check_finite=reading.check_finite)


@contextmanager
def named(source: Path | bytes, name: str) -> Iterator[None]:
    """Whatever a decoder stumbles over, as `UnreadableImage` that names the file."""
    try:
        yield
    except UnreadableImage:
        raise
    except Exception as error:
        raise UnreadableImage(f"{name}: {reason(source, error)}") from error


def reason(source: Path | bytes, error: Exception) -> str:
    """Why a file could not be read, without repeating its name."""
    if isinstance(source, Path) and not source.exists():
        return "it does not exist"
    head = source[:32] if isinstance(source, bytes) else start_of(source)
    if not head:
        return "it is empty"
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, UnidentifiedImageError):
        return missing_reader(source) or "it is not an image that Pillow can open"
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def start_of(path: Path) -> bytes:
    """The first bytes of a file; something where it cannot be opened at all."""
    try:
        with path.open("rb") as file:
            return file.read(32)
    except OSError:
        return b"?"


def with_channels(image: Image.Image, channels: int) -> Image.Image:
    """-> gray, RGB or RGBA for 1, 3 or 4 channels; what is transparent is left out, and its color stays"""
    if channels not in MODES:
        raise UserError(
            f"Image files have 1, 3 or 4 channels, and the model takes {channels}; call the model with pixel_values."
        )
    wanted = MODES[channels]
    if image.mode == wanted:
        return image
    if image.mode == "RGBa" or (image.mode == "P" and isinstance(image.info.get("transparency"), bytes)):
        image = image.convert("RGBA")
    if image.mode == "LAB" and wanted != "RGB":
        image = image.convert("RGB")
    return image.convert(wanted)


# What a JPEG says beside its pixels, by the numbers of its segments: EXIF and XMP, several pictures (MPO), Photoshop's.
APP1, APP2, APP13 = 0xE1, 0xE2, 0xED
LENGTHLESS = (0x01, *range(0xD0, 0xD9))  # segments without a length
ENDS = (0xD9, 0xDA)  # of the file, and of all that comes before the pixels
EXIF, XMP, SEVERAL = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0", b"MPF\0"


def jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """(kind, first byte, byte behind the last) of what lies before the pixels of a JPEG, as far as it is whole."""
    place = 2
    while place + 4 <= len(data) and data[place] == 0xFF:
        kind = data[place + 1]
        if kind in ENDS:
            return
        if kind == 0xFF or kind in LENGTHLESS:
            place += 1 if kind == 0xFF else 2
            continue
        end = place + 2 + int.from_bytes(data[place + 2 : place + 4], "big")
        if end < place + 4 or end > len(data):
            return
        yield kind, place, end
        place = end


def jpeg_orientation(data: bytes) -> int:
    """What EXIF or XMP say about the side that is up; 1 is upright."""
    if b"Exif" not in data and b"Orientation" not in data:
        return 1
    exif, xmp = b"", None
    for kind, start, end in jpeg_segments(data):
        if kind == APP1 and data.startswith(EXIF, start + 4):
            exif += data[start + 4 + (len(EXIF) if exif else 0) : end]
        elif kind == APP1 and data.startswith(XMP, start + 4):
            xmp = data[start + 4 + len(XMP) : end]
    return orientation_of(exif, xmp)


def bare_jpeg(data: bytes) -> bytes:
    """The same pixels without what is said beside them, over which Pillow may fail; one picture of several (MPO)."""
    kept, place = [], 0
    for kind, start, end in jpeg_segments(data):
        if kind in (APP1, APP13) or (kind == APP2 and data.startswith(SEVERAL, start + 4)):
            kept.append(data[place:start])
            place = end
    return b"".join([*kept, data[place:]])
