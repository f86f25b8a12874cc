from pathlib import Path

import numpy as np
import pytest
from made_images import noise, png
from PIL import Image

from vit_hf.data.decode.images import UnreadableImage, read_image, with_channels


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "it is empty"), (b"hello", "not an image"), (png(noise(0, 64))[:200], "")],
    ids=["empty", "text", "truncated"],
)
def test_a_broken_file_is_named_with_its_reason(tmp_path: Path, content: bytes, reason: str):
    path = tmp_path / "broken.png"
    path.write_bytes(content)
    with pytest.raises(UnreadableImage, match=rf"broken\.png: .*{reason}"):
        read_image(path, str(path))
    with pytest.raises(UnreadableImage, match=f"row 3: .*{reason}"):
        read_image(content, "row 3")


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "gif", "webp", "tiff", "ppm"])
def test_every_format_of_pillow_is_read(tmp_path: Path, suffix: str):
    noise(0).save(tmp_path / f"image.{suffix}")
    assert read_image(tmp_path / f"image.{suffix}", "it").size == (8, 8)


def test_a_photo_stands_upright_as_its_exif_says(tmp_path: Path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by a quarter, clockwise
    image = noise(0).crop((0, 0, 8, 4))
    image.save(tmp_path / "photo.png", exif=exif)
    read = read_image(tmp_path / "photo.png", "photo")
    np.testing.assert_array_equal(np.asarray(read), np.rot90(np.asarray(image), -1))


def test_deep_grays_are_scaled_rather_than_clipped(tmp_path: Path):
    deep = np.array([[0, 257, 65535]], dtype=np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    assert np.asarray(read_image(tmp_path / "deep.png", "deep")).tolist() == [[0, 1, 255]]
    Image.fromarray(np.array([[0.0, 0.5, 1.0]], dtype=np.float32)).save(tmp_path / "shares.tiff")
    assert np.asarray(read_image(tmp_path / "shares.tiff", "shares")).tolist() == [[0, 128, 255]]


def test_nan_pixels_are_refused_when_asked_to_check(tmp_path: Path):
    path = tmp_path / "holes.tiff"
    Image.fromarray(np.array([[np.nan, 1.0]], dtype=np.float32)).save(path)
    assert np.asarray(read_image(path, "holes")).tolist() == [[0, 255]]
    with pytest.raises(UnreadableImage, match=r"holes: .*NaN"):
        read_image(path, "holes", check_finite=True)


def test_channels_that_no_image_file_has_are_refused():
    assert with_channels(noise(0), 1).mode == "L"
    with pytest.raises(ValueError, match="the model takes 7"):
        with_channels(noise(0), 7)
