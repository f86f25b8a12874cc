from pathlib import Path

import numpy as np
import pytest
from made_images import noise, png
from PIL import Image

from vit_hf.data.decode.files import UnreadableImage, with_channels
from vit_hf.data.decode.images import open_picture


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "it is empty"), (b"hello", "not an image"), (png(noise(0, 64))[:200], "")],
    ids=["empty", "text", "truncated"],
)
def test_a_broken_file_is_named_with_its_reason(tmp_path: Path, content: bytes, reason: str):
    path = tmp_path / "broken.png"
    path.write_bytes(content)
    with pytest.raises(UnreadableImage, match=rf"broken\.png: .*{reason}"):
        open_picture(path, str(path)).pixels(3)
    with pytest.raises(UnreadableImage, match=f"row 3: .*{reason}"):
        open_picture(content, "row 3").pixels(3)


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "gif", "webp", "tiff", "ppm"])
def test_every_format_of_pillow_is_read(tmp_path: Path, suffix: str):
    noise(0).save(tmp_path / f"image.{suffix}")
    picture = open_picture(tmp_path / f"image.{suffix}", "it")
    assert (picture.size, picture.pixels(3).shape) == ((8, 8), (8, 8, 3))


def test_a_photo_stands_upright_as_its_exif_says(tmp_path: Path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by a quarter, clockwise
    image = noise(0).crop((0, 0, 8, 4))
    image.save(tmp_path / "photo.png", exif=exif)
    picture = open_picture(tmp_path / "photo.png", "photo")
    assert picture.size == (8, 4)
    np.testing.assert_array_equal(picture.pixels(3), np.rot90(np.asarray(image), -1))


def test_channels_that_no_image_file_has_are_refused():
    assert with_channels(noise(0), 1).mode == "L"
    with pytest.raises(ValueError, match="the model takes 7"):
        with_channels(noise(0), 7)
