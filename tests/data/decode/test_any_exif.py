"""Whatever stands beside the pixels of a file: it never changes whether they are read, nor do two readers disagree."""

import io
import re
import struct
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from made_images import photo
from PIL import Image, ImageOps

from vit_hf.data.decode import images as decoding
from vit_hf.data.decode.images import FastJpeg, PillowJpeg, open_picture
from vit_hf.models.image_files import ORIENTATION, exif_orientation, orientation_of, upright

PLAIN = photo()


def entry(tag: int, kind: int, count: int, value: bytes, order: str = ">") -> bytes:
    return struct.pack(f"{order}HHI", tag, kind, count) + value[:4].ljust(4, b"\0")


def exif_of(*entries: bytes, order: str = ">", behind: bytes = b"") -> bytes:
    head = (b"MM" if order == ">" else b"II") + struct.pack(f"{order}HIH", 42, 8, len(entries))
    return b"Exif\0\0" + head + b"".join(entries) + bytes(4) + behind


def side(number: int, kind: int = 3, order: str = ">") -> bytes:
    value = struct.pack(order + {1: "B", 3: "H", 4: "I"}[kind], number)
    return entry(ORIENTATION, kind, 1, value, order)


DATE = 0x0132
# A rational where a text belongs: Pillow reads it, and fails once it writes it.
RATIONAL_DATE = exif_of(entry(DATE, 5, 1, struct.pack(">I", 38)), side(6), behind=struct.pack(">II", 1, 2))


def saved(kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    PLAIN.save(buffer, kind, **options)
    return buffer.getvalue()


def expected(orientation: int, kind: str) -> np.ndarray:
    exact = Image.open(io.BytesIO(saved(kind)))
    return np.asarray(upright(exact.convert("RGB"), orientation))


def read(data: bytes) -> list[np.ndarray]:
    """By every reader that there is for it."""
    picture = open_picture(data, "it")
    found = [picture]
    if isinstance(picture, FastJpeg):
        assert isinstance(picture.otherwise, PillowJpeg)
        found.append(picture.otherwise)
    pixels = [own.pixels(3) for own in found]
    assert [own.size for own in found] == [own.shape[:2] for own in pixels]
    return pixels


KINDS = ["JPEG", "PNG", "WEBP"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_photo_whose_date_is_no_text_is_turned_like_any_other(kind: str):
    for pixels in read(saved(kind, exif=RATIONAL_DATE)):
        np.testing.assert_array_equal(pixels, expected(6, kind))


@pytest.mark.parametrize("number", range(1, 9))
def test_turning_is_pillows(number: int):
    exif = Image.Exif()
    exif[ORIENTATION] = number
    data = saved("PNG", exif=exif)
    by_pillow = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    np.testing.assert_array_equal(read(data)[0], np.asarray(by_pillow))


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("kind", [1, 3, 4])
@pytest.mark.parametrize("number", range(1, 9))
def test_the_side_that_is_up_is_read_in_either_order_of_bytes(number: int, kind: int, order: str):
    assert exif_orientation(exif_of(entry(271, 2, 3, b"us", order), side(number, kind, order), order=order)) == number


@pytest.mark.parametrize(
    "exif",
    [
        b"",
        b"Exif",
        b"Exif\0\0MM\0*",
        b"Exif\0\0MM\0*\xff\xff\xff\xff",
        exif_of(side(0)),
        exif_of(side(9)),
        exif_of(entry(ORIENTATION, 2, 2, b"6")),
        exif_of(entry(ORIENTATION, 5, 1, struct.pack(">I", 8))),
        exif_of(entry(ORIENTATION, 3, 0, b"")),
        exif_of(entry(ORIENTATION, 3, 9000, b"\0\6")),
        exif_of(side(6))[:-14],
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_what_says_nothing_leaves_a_photo_as_it_is(kind: str, exif: bytes):
    for pixels in read(saved(kind, exif=exif)):
        np.testing.assert_array_equal(pixels, expected(1, kind))


@pytest.mark.parametrize("xmp", [b'<x tiff:Orientation="8"/>', b"<tiff:Orientation>8</tiff:Orientation>"])
def test_xmp_is_asked_where_exif_is_silent(xmp: bytes):
    for data in (saved("JPEG", xmp=xmp), saved("WEBP", xmp=xmp)):
        for pixels in read(data):
            np.testing.assert_array_equal(pixels, expected(8, "JPEG" if data.startswith(b"\xff") else "WEBP"))
    assert orientation_of(exif_of(side(3)), xmp) == 3
    assert orientation_of(exif_of(side(0)), xmp.decode()) == 8


def test_a_png_that_says_it_behind_its_pixels_is_turned():
    data = saved("PNG", exif=exif_of(side(6)))
    place = data.index(b"eXIf") - 4
    chunk = data[place : place + 12 + struct.unpack(">I", data[place : place + 4])[0]]
    end = data.index(b"IEND") - 4
    late = data[:place] + data[place + len(chunk) : end] + chunk + data[end:]
    np.testing.assert_array_equal(read(late)[0], expected(6, "PNG"))


@pytest.mark.parametrize("number", range(1, 9))
def test_a_tiff_is_turned_once(number: int):
    data = saved("TIFF", tiffinfo={ORIENTATION: number})
    np.testing.assert_array_equal(read(data)[0], expected(number, "TIFF"))


SMALL = some.integers(0, 65535)
ENTRIES = some.lists(
    some.one_of(
        some.builds(side, some.integers(0, 12)),
        some.builds(entry, some.sampled_from([ORIENTATION, 0x8769, 0x8825, DATE, 0x011A]), SMALL, SMALL, some.binary()),
        some.builds(entry, SMALL, some.integers(0, 13), some.integers(0, 2**32 - 1), some.binary(max_size=4)),
    ),
    max_size=6,
)
BLOCKS = some.one_of(
    some.binary(max_size=300).map(lambda rest: b"Exif\0\0" + rest),
    some.builds(lambda entries, behind: exif_of(*entries, behind=behind), ENTRIES, some.binary(max_size=64)),
    some.builds(lambda entries, cut: exif_of(*entries)[:cut], ENTRIES, some.integers(6, 60)),
)


@given(block=BLOCKS)
@settings(max_examples=150, deadline=None)
def test_no_exif_whatever_changes_whether_or_how_an_image_is_read(block: bytes):
    number = exif_orientation(block) or 1
    for kind in KINDS:
        for pixels in read(saved(kind, exif=block)):
            np.testing.assert_array_equal(pixels, expected(number, kind))


KNOWN = some.sampled_from([270, 271, DATE, 282, 296, 305, 700, 0x8769, 0x8825, 33432, 34377])
VALUES = some.one_of(some.text(max_size=5), some.integers(0, 70000), some.floats(0, 9), some.binary(max_size=4))


@given(tags=some.dictionaries(KNOWN, VALUES, max_size=4), number=some.integers(0, 9))
@settings(max_examples=80, deadline=None)
def test_no_tag_of_a_tiff_changes_how_it_is_read(tags: dict, number: int):
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            data = saved("TIFF", tiffinfo={**tags, ORIENTATION: number})
    except Exception:  # noqa: BLE001, what Pillow does not write
        return
    np.testing.assert_array_equal(read(data)[0], expected(number, "TIFF"))


def test_a_photo_of_several_pictures_is_its_first(monkeypatch: pytest.MonkeyPatch):
    buffer = io.BytesIO()
    PLAIN.save(buffer, "MPO", save_all=True, append_images=[Image.new("RGB", PLAIN.size)])
    for pixels in read(buffer.getvalue()):
        np.testing.assert_array_equal(pixels, expected(1, "JPEG"))
    cut = re.sub(rb"MPF\0.{8}", b"MPF\0" + bytes(8), buffer.getvalue(), flags=re.DOTALL)  # an index that is none
    monkeypatch.setattr(decoding, "simplejpeg", None)
    np.testing.assert_array_equal(read(cut)[0], expected(1, "JPEG"))
