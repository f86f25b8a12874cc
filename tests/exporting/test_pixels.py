"""The pixels that a graph makes of a picture, beside those that Pillow does."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as some
from PIL import Image
from tiny import tiny_config
from transformers.image_utils import SizeDict
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

from vit_hf.data.decode.processors import make_image_processor
from vit_hf.errors import UserError
from vit_hf.exporting.pixels import PixelPreparation

HOW = [
    {"fit": "squash"},
    {"fit": "crop", "crop_pct": 0.875},
    {"fit": "pad", "pad_color": [9, 200, 90]},
]


def picture(height: int, width: int, channels: int = 3) -> np.ndarray:
    """h w c, bytes: noise on a ramp, with hard edges"""
    random = np.random.default_rng(height * 1000 + width)
    ramp = np.linspace(0, 255, width)[None, :, None] * np.ones((height, 1, channels))
    ramp[: height // 2, : width // 3] = 255
    return np.clip(ramp + random.normal(0, 20, ramp.shape), 0, 255).astype(np.uint8)


def levels_apart(processor, pixels: np.ndarray) -> float:
    """The largest difference in gray levels."""
    shown = Image.fromarray(pixels if pixels.shape[2] > 1 else pixels[..., 0])
    expected = processor(shown, return_tensors="pt")["pixel_values"]
    found = PixelPreparation(processor, pixels.shape[2])(torch.from_numpy(pixels))
    assert found.shape == expected.shape
    return float((found - expected).abs().max()) * 0.5 * 255  # the std of these processors is 0.5


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize("how", HOW, ids=lambda how: how["fit"])
@settings(max_examples=8, deadline=None)
@given(height=some.integers(2, 150), width=some.integers(2, 150))
def test_a_picture_of_any_size_becomes_what_pillow_makes_of_it(how, interpolation, height, width):
    """Within a gray level, where two roundings may fall on either side."""
    processor = make_image_processor(tiny_config(), interpolation=interpolation, **how)
    assert levels_apart(processor, picture(height, width)) <= 1.001


@pytest.mark.parametrize("side", [400, 500, 600])
def test_weights_are_rounded_as_pillow_rounds_them(side):
    """Over many pixels exact weights would turn a gray level here and there."""
    processor = make_image_processor(tiny_config(), interpolation="bicubic", fit="squash")
    for more in range(4):
        grown = Image.fromarray(picture(8 + more, 8)).resize((side + more, side), Image.Resampling.BICUBIC)
        assert levels_apart(processor, np.array(grown)) < 0.001


def test_gray_pictures_and_a_shortest_edge_are_prepared_too():
    gray: Any = make_image_processor(tiny_config(num_channels=1), fit="crop")
    gray.size = SizeDict(shortest_edge=40)
    assert levels_apart(gray, picture(61, 90, 1)) <= 1.001


def test_pictures_of_the_models_size_stay_as_they_are():
    processor = make_image_processor(tiny_config(), fit="squash")
    pixels = picture(32, 32)
    prepared = PixelPreparation(processor, 3)(torch.from_numpy(pixels))[0]
    assert torch.equal((prepared * 127.5 + 127.5).round().byte(), torch.from_numpy(pixels).permute(2, 0, 1))


def test_what_goes_into_no_graph_is_refused_with_a_way_out():
    nearest = make_image_processor(tiny_config(), interpolation="nearest")
    with pytest.raises(UserError, match="resized by nearest, and a graph can do box, bilinear"):
        PixelPreparation(nearest, 3)
    with pytest.raises(UserError, match="does not go into a graph; export without --preprocessing"):
        PixelPreparation(ViTImageProcessorPil(do_resize=False), 3)
