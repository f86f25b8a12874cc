"""What people's folders hold: each is read alike to train on, to predict from and to draw, or refused in a sentence."""

import io
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from made_images import jpeg, photo, png
from PIL import Image

from vit_hf.data.decode import readers
from vit_hf.data.decode.files import MAX_PIXELS, Reading, UnreadableImage
from vit_hf.data.decode.images import open_picture

GRAY, COLOR = photo(mode="L"), photo()


def stored(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def transparent() -> Image.Image:
    image = COLOR.copy()
    image.putalpha(GRAY)
    return image


def of_several(kind: str) -> bytes:
    frames = [Image.new("RGB", COLOR.size, name) for name in ("red", "lime")]
    return stored(frames[0], kind, save_all=True, append_images=frames[1:])


PALETTE = COLOR.quantize(32)
FILES = {
    "gray and alpha": (stored(Image.merge("LA", [GRAY, GRAY]), "PNG"), GRAY.convert("RGB")),
    "color and alpha": (stored(transparent(), "PNG"), COLOR),
    "black and white": (stored(GRAY.convert("1"), "PNG"), GRAY.convert("1").convert("RGB")),
    "a palette": (stored(PALETTE, "PNG"), PALETTE.convert("RGB")),
    "a palette, one color transparent": (stored(PALETTE, "PNG", transparency=3), PALETTE.convert("RGB")),
    "a palette, each with its alpha": (stored(PALETTE, "PNG", transparency=bytes(range(32))), PALETTE.convert("RGB")),
    "gray, one transparent": (stored(GRAY, "PNG", transparency=7), GRAY.convert("RGB")),
    "cmyk": (stored(COLOR.convert("CMYK"), "TIFF"), COLOR.convert("CMYK").convert("RGB")),
    "lab": (stored(Image.new("LAB", (53, 37), (128, 128, 128)), "TIFF"), None),
    "an animation": (of_several("GIF"), Image.new("RGB", COLOR.size, "red")),
    "pages": (of_several("TIFF"), Image.new("RGB", COLOR.size, "red")),
    "an animated png": (of_several("PNG"), Image.new("RGB", COLOR.size, "red")),
    "an icon": (stored(COLOR.resize((32, 32)), "ICO"), None),
}


@pytest.mark.parametrize("name", FILES)
def test_every_kind_of_color_is_read(name: str):
    data, expected = FILES[name]
    picture = open_picture(data, name)
    pixels = picture.pixels(3)
    assert (*picture.size, 3) == pixels.shape
    if expected is not None:
        np.testing.assert_array_equal(pixels, np.asarray(expected))
    assert (picture.pixels(1).shape[2], picture.pixels(4).shape[2]) == (1, 4)


@pytest.mark.parametrize("kind", ["PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM"])
def test_a_file_that_ends_too_early_is_named(kind: str):
    data = stored(COLOR, kind)
    with pytest.raises(UnreadableImage, match="^it: "):
        open_picture(data[: len(data) // 2], "it").pixels(3)


@pytest.mark.parametrize("data", [b"P6 0 4 255\n", b"P5 4 0 255\n"])
def test_an_image_without_pixels_is_refused(data: bytes):
    with pytest.raises(UnreadableImage, match="^it: "):
        open_picture(data, "it").pixels(3)


SMALL_LIMIT = Reading(max_pixels=37 * 53 - 1)


@pytest.mark.parametrize("data", [jpeg(COLOR), jpeg(COLOR.convert("CMYK")), png(COLOR)], ids=["jpeg", "cmyk", "png"])
def test_an_image_that_is_too_large_names_the_field_and_its_value(data: bytes):
    with pytest.raises(UnreadableImage, match=r"it: it has 1,961 pixels, and no more than 1,960.*--data.max_pixels"):
        open_picture(data, "it", SMALL_LIMIT).pixels(3)
    assert open_picture(data, "it", Reading(max_pixels=1961)).pixels(3).shape == (37, 53, 3)


HUGE = png(Image.new("1", (13500, 13500)))  # 182 megapixels


def test_an_image_that_pillow_calls_a_bomb_is_read_where_it_may_be(recwarn: pytest.WarningsRecorder):
    before = Image.MAX_IMAGE_PIXELS
    with pytest.raises(UnreadableImage, match="it has 182,250,000 pixels.*set max_pixels to 182250000"):
        open_picture(HUGE, "it").pixels(1)
    assert open_picture(HUGE, "it", Reading(max_pixels=182_250_000)).size == (13500, 13500)
    assert before == Image.MAX_IMAGE_PIXELS
    assert not recwarn.list


def test_what_pillow_refuses_outright_is_told_in_the_same_sentence():
    with pytest.raises(UnreadableImage, match="it has 1,961 pixels, and no more than 100 are read; set max_pixels"):
        open_picture(png(COLOR), "it", Reading(max_pixels=100)).pixels(1)
    header = bytearray(HUGE)
    header[16:24] = (40000).to_bytes(4, "big") * 2
    header[29:33] = zlib.crc32(header[12:29]).to_bytes(4, "big")
    with pytest.raises(UnreadableImage, match="it has 1,600,000,000 pixels"):
        open_picture(bytes(header), "it", Reading(max_pixels=MAX_PIXELS)).pixels(1)


def test_pillows_own_limit_is_again_what_it_was_whoever_reads_at_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 12345)
    data = png(COLOR)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: open_picture(data, "it", Reading(max_pixels=2000 + number)).pixels(3), range(64)))
    assert Image.MAX_IMAGE_PIXELS == 12345


HEIC = b"\0\0\0\x18ftypheic" + bytes(40)


def test_heic_is_read_where_a_reader_is_installed_and_else_says_which(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    readers.register_readers.cache_clear()
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    monkeypatch.setattr(readers, "find_spec", lambda name: None)
    with pytest.raises(UnreadableImage, match="it is a HEIC image.*pip install pillow-heif"):
        open_picture(HEIC, "it").pixels(3)
    monkeypatch.undo()
    readers.register_readers.cache_clear()
    (tmp_path / "pillow_heif.py").write_text("""
from PIL import Image
def register_heif_opener():
    def opened(file, name=None):
        return Image.new("RGB", (5, 4), "red")
    Image.register_open("HEIF", opened, lambda start: start[4:12] == b"ftypheic")
""")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(Image, "ID", list(Image.ID))
    monkeypatch.setattr(Image, "OPEN", dict(Image.OPEN))
    assert open_picture(HEIC, "it").pixels(3).tolist() == [[[255, 0, 0]] * 5] * 4
    del sys.modules["pillow_heif"]
    readers.register_readers.cache_clear()
