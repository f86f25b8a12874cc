"""Pillow is the oracle: both decoders give the same bytes, and stumble over the same files."""

import io
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_images import jpeg, photo
from PIL import Image

from vit_hf.data.decode import images as decoding
from vit_hf.data.decode.files import USUAL_READING, jpeg_orientation
from vit_hf.data.decode.images import FastJpeg, PillowJpeg, UnreadableImage, open_picture
from vit_hf.models.image_files import ORIENTATION


def turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return exif


FILES = {
    "plain": jpeg(photo()),
    "full color": jpeg(photo(), subsampling=0),
    "progressive": jpeg(photo(), progressive=True),
    "gray": jpeg(photo(mode="L")),
    "cmyk": jpeg(photo(mode="CMYK")),
    "rgb": jpeg(photo(), keep_rgb=True),
    **{f"orientation {number}": jpeg(photo(), exif=turned(number)) for number in range(1, 9)},
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("factor", [1, 2, 8])
def test_a_jpeg_is_decoded_to_the_bytes_of_pillow(name: str, channels: int, factor: int):
    by_pillow = PillowJpeg(FILES[name], name, jpeg_orientation(FILES[name]), USUAL_READING)
    picture = open_picture(FILES[name], name)
    assert isinstance(picture, FastJpeg) == (name not in ("cmyk", "rgb"))
    assert picture.size == by_pillow.size
    expected = by_pillow.pixels(channels, factor)
    assert picture.pixels(channels, factor).tolist() == expected.tolist()
    height, width = picture.size
    assert expected.shape == (-(-height // factor), -(-width // factor), channels) or name in ("cmyk", "rgb")


def test_a_photo_stands_upright_as_its_exif_says():
    upright = np.asarray(Image.open(io.BytesIO(FILES["plain"])))
    picture = open_picture(FILES["orientation 6"], "turned")
    assert picture.size == (53, 37)
    np.testing.assert_array_equal(picture.pixels(3), np.rot90(upright, -1))


@pytest.mark.parametrize("left", [0, 1, 30, 400, len(FILES["plain"]) - 2])
@pytest.mark.parametrize("fast", [True, False], ids=["simplejpeg", "pillow"])
def test_a_truncated_jpeg_is_unreadable_by_either(
    left: int, fast: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    if not fast:
        monkeypatch.setattr(decoding, "simplejpeg", None)
    path = tmp_path / "cut.jpg"
    path.write_bytes(FILES["plain"][:left])
    with pytest.raises(UnreadableImage, match=r"cut\.jpg: "):
        open_picture(path, str(path)).pixels(3)


def test_a_missing_file_says_so(tmp_path: Path):
    with pytest.raises(UnreadableImage, match=r"gone\.jpg: it does not exist"):
        open_picture(tmp_path / "gone.jpg", "gone.jpg").pixels(3)
    with pytest.raises(UnreadableImage, match=r"gone\.jpg: it does not exist"):
        _ = open_picture(tmp_path / "gone.jpg", "gone.jpg").size


def test_other_formats_are_pillows(tmp_path: Path):
    photo().save(tmp_path / "image.png")
    picture = open_picture(tmp_path / "image.png", "image")
    assert picture.size == (37, 53)
    np.testing.assert_array_equal(picture.pixels(3, 4), np.asarray(photo()))


def test_a_picture_that_another_thread_decodes_holds_up_no_other(monkeypatch: pytest.MonkeyPatch):
    begun, over = threading.Event(), threading.Event()

    def decode_slowly(source: Any, reading: Any) -> Image.Image:
        if source == b"slow":
            begun.set()
            over.wait(60)
        return Image.new("L", (3, 2))

    monkeypatch.setattr(decoding, "decode", decode_slowly)
    slow = threading.Thread(target=lambda: decoding.PillowPicture(b"slow", "slow").size)
    slow.start()
    begun.wait(60)
    found: list[Any] = []
    picture = decoding.PillowPicture(b"quick", "quick")
    quick = threading.Thread(target=lambda: found.extend([picture.size, picture.decoded is picture.decoded]))
    quick.start()
    quick.join(10)
    over.set()
    slow.join()
    assert found == [(2, 3), True]
