"""Images come to the model as timm's evaluation transform would bring them, pixel by pixel."""

import numpy as np
import pytest
import torch
from PIL import Image
from timm.data.transforms_factory import transforms_imagenet_eval
from transformers import ViTImageProcessor

from vit_hf import VisionTransformerConfig
from vit_hf.data.decode.processors import make_image_processor

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
ODD_SIZES = [(375, 500), (500, 333), (31, 97), (224, 224), (225, 226), (1001, 640), (40, 41), (33, 200)]
LEVEL = 1 / 255 / min(STD)  # one of 256 levels of brightness, in normalized pixels


def photograph(height: int, width: int) -> Image.Image:
    """Noise of every frequency, so that a shift by one pixel would show."""
    return Image.fromarray(np.random.default_rng(height * width).integers(0, 256, (height, width, 3), np.uint8))


def ours_and_timms(image: Image.Image, size, crop_pct: float | None, interpolation: str, fit=None, **timms):
    config = VisionTransformerConfig(image_size=size, patch_size=8)
    how = {"crop_pct": crop_pct, "interpolation": interpolation, "fit": fit}
    processor = make_image_processor(config, mean=MEAN, std=STD, **how)
    transform = transforms_imagenet_eval(
        img_size=size, crop_pct=crop_pct or 1.0, interpolation=interpolation, mean=MEAN, std=STD, **timms
    )
    return processor(image, return_tensors="pt")["pixel_values"][0], transform(image)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("crop_pct", [0.875, 0.9, 0.95, 1.0])
@pytest.mark.parametrize(("height", "width"), ODD_SIZES)
def test_the_middle_of_an_image_is_the_one_that_timm_cuts_out(height, width, crop_pct, interpolation):
    ours, timms = ours_and_timms(photograph(height, width), 224, crop_pct, interpolation)
    torch.testing.assert_close(ours, timms, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("height", "width"), ODD_SIZES)
def test_a_model_for_oblong_images_is_given_what_timm_would_give_it(height, width):
    ours, timms = ours_and_timms(photograph(height, width), [64, 96], 0.9, "bicubic")
    torch.testing.assert_close(ours, timms, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("height", "width"), ODD_SIZES)
def test_an_image_taken_whole_is_the_one_that_timm_squashes(height, width):
    ours, timms = ours_and_timms(photograph(height, width), 224, None, "bicubic", crop_mode="squash")
    torch.testing.assert_close(ours, timms, rtol=0, atol=1e-6)


@pytest.mark.parametrize("size", [224, [64, 96]])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize(("height", "width"), [*ODD_SIZES, (1, 90)])
def test_an_image_in_a_border_is_the_one_that_timm_pads(height, width, interpolation, size):
    ours, timms = ours_and_timms(photograph(height, width), size, None, interpolation, "pad", crop_mode="border")
    torch.testing.assert_close(ours, timms, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("height", "width"), ODD_SIZES)
def test_torchvision_makes_the_same_of_the_same_json_within_two_levels_of_brightness(height, width):
    processor = make_image_processor(VisionTransformerConfig(), mean=MEAN, std=STD)
    with_torchvision = ViTImageProcessor(**processor.to_dict())
    assert with_torchvision.backend == "torchvision"
    # Smooth, as photographs are: where noise overshoots black and white, the two libraries clip it differently.
    image = photograph(8, 8).resize((width, height), Image.Resampling.BICUBIC)
    pixels = [made(image, return_tensors="pt")["pixel_values"] for made in (processor, with_torchvision)]
    torch.testing.assert_close(*pixels, rtol=0, atol=2 * LEVEL + 1e-6)
