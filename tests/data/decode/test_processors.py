"""What the image processor does to an image, done again by hand with PIL and NumPy."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from transformers import ViTImageProcessorPil
from transformers.models.auto.image_processing_auto import AutoImageProcessor

from vit_hf import VisionTransformerConfig
from vit_hf.data.decode.processors import make_image_processor
from vit_hf.models.image_processing_vit import middle

MEAN, STD = (0.1, 0.2, 0.3), (0.5, 0.25, 0.125)
ODD_SIZES = [(375, 500), (500, 333), (31, 97), (32, 32), (33, 200)]


def photograph(height: int, width: int, channels: int = 3) -> Image.Image:
    pixels = np.random.default_rng(height * width).integers(0, 256, (height, width, channels), np.uint8)
    return Image.fromarray(pixels.squeeze())


def pixel_values(processor, image: Any) -> np.ndarray:
    return processor(image, return_tensors="np")["pixel_values"][0]


def normalized(image: Image.Image) -> np.ndarray:
    return ((np.asarray(image) / 255 - MEAN) / STD).transpose(2, 0, 1)


def config(**fields) -> VisionTransformerConfig:
    return VisionTransformerConfig(**{"image_size": 32, "patch_size": 8, **fields})


@pytest.mark.parametrize(("height", "width"), ODD_SIZES)
def test_an_image_taken_whole_is_resized_by_pil_and_normalized(height: int, width: int):
    image = photograph(height, width)
    processor = make_image_processor(config(image_size=[32, 48]), mean=MEAN, std=STD)
    by_hand = normalized(image.resize((48, 32), Image.Resampling.BICUBIC))
    np.testing.assert_allclose(pixel_values(processor, image), by_hand, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("height", "width"), ODD_SIZES)
def test_an_image_taken_whole_is_what_transformers_own_processor_makes_of_it(height: int, width: int):
    image = photograph(height, width)
    processor = make_image_processor(config(), mean=MEAN, std=STD, interpolation="bilinear")
    theirs = ViTImageProcessorPil(size={"height": 32, "width": 32}, image_mean=MEAN, image_std=STD)
    assert np.array_equal(pixel_values(processor, image), pixel_values(theirs, image))


def test_the_middle_is_cut_out_of_the_covering_image_with_half_pixels_rounded_to_even():
    image = photograph(40, 47)  # 32 / 0.8 = 40: nothing is resized, 4 rows go above and 7.5, rounded to 8, left
    processor = make_image_processor(config(), mean=MEAN, std=STD, crop_pct=0.8)
    by_hand = normalized(image.crop((8, 4, 40, 36)))
    np.testing.assert_allclose(pixel_values(processor, image), by_hand, rtol=0, atol=1e-6)


def test_an_oblong_box_is_covered_in_the_shape_of_the_image():
    image = photograph(100, 100)
    processor = make_image_processor(config(image_size=[32, 64]), mean=MEAN, std=STD, crop_pct=1.0)
    by_hand = normalized(image.resize((64, 64), Image.Resampling.BICUBIC).crop((0, 16, 64, 48)))
    np.testing.assert_allclose(pixel_values(processor, image), by_hand, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("length", "wanted", "start"), [(7, 7, 0), (9, 7, 1), (8, 7, 0), (10, 7, 2), (12, 7, 2), (14, 7, 4)]
)
def test_half_a_pixel_is_rounded_to_the_even_number(length: int, wanted: int, start: int):
    assert middle(length, wanted) == slice(start, start + wanted)


def test_a_middle_larger_than_the_image_is_refused():
    processor = make_image_processor(config(), crop_pct=0.9)
    with pytest.raises(ValueError, match="32 pixels cannot be cut out of 20"):
        processor(photograph(20, 40), do_resize=False)


def test_an_image_taken_whole_needs_no_code_beside_its_json(tmp_path: Path):
    make_image_processor(config(), mean=MEAN, std=STD).save_pretrained(tmp_path)
    saved = json.loads((tmp_path / "preprocessor_config.json").read_text())
    assert saved["image_processor_type"] == "ViTImageProcessor"
    assert "auto_map" not in saved
    assert [file.name for file in tmp_path.iterdir()] == ["preprocessor_config.json"]


def deep(height: int, width: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(height * width).integers(0, 4096, (height, width), np.uint16))


@pytest.mark.parametrize("how", [{}, {"crop_pct": 0.9}, {"fit": "pad"}, {"pixel_range": [0, 4095]}])
def test_a_saved_processor_makes_the_same_pixels_without_this_package(tmp_path: Path, how: dict):
    image = deep(75, 50) if "pixel_range" in how else photograph(75, 50)
    processor = make_image_processor(config(), mean=MEAN, std=STD, **how)
    processor.save_pretrained(tmp_path)
    image.save(tmp_path / "image.png")
    stranger = """
import sys
sys.modules["vit_hf"] = None
import numpy as np
from PIL import Image
from transformers.models.auto.image_processing_auto import AutoImageProcessor
folder = sys.argv[1]
processor = AutoImageProcessor.from_pretrained(folder, trust_remote_code=True)
np.save(f"{folder}/pixels.npy", processor(Image.open(f"{folder}/image.png"), return_tensors="np")["pixel_values"])
"""
    subprocess.run([sys.executable, "-c", stranger, str(tmp_path)], check=True)
    assert np.array_equal(np.load(tmp_path / "pixels.npy")[0], pixel_values(processor, image))


@pytest.mark.parametrize("crop_pct", [None, 0.9])
def test_a_saved_processor_comes_back_as_it_was(tmp_path: Path, crop_pct: float | None):
    processor = make_image_processor(config(), mean=MEAN, std=STD, crop_pct=crop_pct)
    processor.save_pretrained(tmp_path)
    again = AutoImageProcessor.from_pretrained(tmp_path, trust_remote_code=True)
    image = photograph(33, 51)
    assert np.array_equal(pixel_values(again, image), pixel_values(processor, image))


def flat_colors(processor, image: Any) -> list[float]:
    """Of an image of one color: its values from 0 to 1."""
    return (pixel_values(processor, image)[:, 0, 0] * STD + MEAN).round(3).tolist()


@pytest.mark.parametrize("how", [{}, {"crop_pct": 1.0}, {"fit": "pad"}])
@pytest.mark.parametrize(
    ("value", "dtype", "limits", "share"),
    [
        (4095, np.uint16, [0, 4095], 1),
        (1024, np.uint16, [0, 4095], 64 / 255),
        (-500, np.int32, [-1000, 1000], 64 / 255),
        (2.5, np.float32, [0, 10], 64 / 255),
        (300, np.int32, [0, 255], 1),
    ],
)
def test_deep_images_and_arrays_are_in_the_range_that_the_processor_holds(how, value, dtype, limits, share):
    processor = make_image_processor(config(), mean=MEAN, std=STD, pixel_range=limits, **how)
    pixels = np.full((32, 32), value, dtype)
    assert flat_colors(processor, Image.fromarray(pixels)) == pytest.approx([share] * 3, abs=2e-3)
    array = np.broadcast_to(pixels, (3, 32, 32)).copy()
    assert flat_colors(processor, array) == pytest.approx([share] * 3, abs=2e-3)


def test_bytes_are_what_they_are_whatever_the_range():
    ranged, plain = (make_image_processor(config(), pixel_range=limits) for limits in ([0, 4095], None))
    assert np.array_equal(pixel_values(ranged, photograph(40, 50)), pixel_values(plain, photograph(40, 50)))


def test_sixteen_bits_of_which_nothing_is_said_are_all_of_them():
    processor = make_image_processor(config(), mean=MEAN, std=STD, crop_pct=1.0)
    assert flat_colors(processor, Image.fromarray(np.full((32, 32), 25700, np.uint16))) == [0.392] * 3
    with pytest.raises(ValueError, match=r"numbers from 0 to 200.*data.pixel_range"):
        pixel_values(processor, Image.fromarray(np.full((32, 32), 200, np.float32)))


def test_a_gray_image_stays_gray_for_a_model_of_one_channel():
    image = photograph(32, 32, channels=1)
    processor = make_image_processor(config(num_channels=1))
    by_hand = (np.asarray(image)[None] / 255 - 0.5) / 0.5
    np.testing.assert_allclose(pixel_values(processor, image), by_hand, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"interpolation": "cubic"}, "interpolation='cubic' is none of nearest, bilinear, bicubic"),
        ({"crop_pct": 1.5}, "crop_pct=1.5 must be a share"),
        ({"crop_pct": 0}, "crop_pct=0 must be a share"),
        ({"fit": "stretch"}, "fit='stretch' is none of squash, crop, pad"),
        ({"fit": "pad", "crop_pct": 0.9}, "fit='pad' cuts nothing; leave crop_pct out, or say fit: crop"),
        ({"fit": "squash", "crop_pct": 0.9}, "fit='squash' cuts nothing"),
        ({"pad_color": [0, 0, 0]}, "is for a border, which fit: pad puts around images"),
        ({"fit": "pad", "pad_color": [0, 0, 256]}, "a color is a number from 0 to 255"),
        ({"fit": "pad", "pad_color": [0, 1]}, "2 numbers for 3 channels"),
        ({"mean": (0.1, 0.2)}, "2 numbers for 3 channels"),
        ({"std": (0.1, 0.2, 0.3, 0.4)}, "4 numbers for 3 channels"),
    ],
)
def test_a_setting_that_fits_no_model_is_refused_in_a_sentence(settings: dict, sentence: str):
    with pytest.raises(ValueError, match=sentence):
        make_image_processor(config(), **settings)
