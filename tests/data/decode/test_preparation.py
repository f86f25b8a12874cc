"""The image processor itself is the oracle."""

from functools import partial

import numpy as np
import pytest
import torch
from einops import rearrange
from hypothesis import given, settings
from hypothesis import strategies as some
from made_images import jpeg, photo
from PIL import Image

from vit_hf.data.augment.augmentations import RandomResizedCrop
from vit_hf.data.augment.crops import BOX_DRAWS
from vit_hf.data.decode.images import StoredPicture, open_picture
from vit_hf.data.decode.preparation import Preparation
from vit_hf.data.decode.processors import make_image_processor
from vit_hf.data.decode.resize import resize, spare_factor
from vit_hf.models.configuration_vit import VisionTransformerConfig


def preparation(size: int | tuple[int, int] = 24, channels: int = 3, **how) -> Preparation:
    config = VisionTransformerConfig(image_size=size, patch_size=4, num_channels=channels)
    return Preparation(make_image_processor(config, **how), channels)


def levels_apart(found: torch.Tensor, image: Image.Image, own: Preparation) -> torch.Tensor:
    """How many of 256 levels each pixel is from what the processor makes of the image."""
    by_processor = own.processor(image, do_rescale=False, do_normalize=False, return_tensors="pt")["pixel_values"][0]
    assert found.dtype == torch.uint8
    assert found.shape == by_processor.shape
    return (found.float() - by_processor.float()).abs()


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize("crop_pct", [None, 0.875])
@pytest.mark.parametrize("channels", [1, 3])
@given(height=some.integers(20, 90), width=some.integers(20, 90))
@settings(max_examples=8, deadline=None)
def test_pixels_are_those_of_the_processor_to_a_gray_level(
    interpolation: str, crop_pct: float | None, channels: int, height: int, width: int
):
    own = preparation(channels=channels, interpolation=interpolation, crop_pct=crop_pct)
    image = photo(height, width, "L" if channels == 1 else "RGB")
    apart = levels_apart(own.pixels(StoredPicture(np.atleast_3d(np.array(image)))), image, own)
    assert apart.max() <= 1
    assert apart.mean() < 0.002 * 255


def test_a_rectangle_is_covered_and_cut_as_the_processor_does():
    own = preparation((16, 24), crop_pct=0.9)
    assert own.size == (16, 24)
    assert levels_apart(own.pixels(StoredPicture(np.array(photo(41, 37)))), photo(41, 37), own).max() <= 1


@pytest.mark.parametrize("how", [{"fit": "pad"}, {"fit": "squash", "pixel_range": (0, 1)}, {"fit": "crop"}])
@pytest.mark.parametrize("size", [24, (16, 40)])
@given(height=some.integers(1, 90), width=some.integers(1, 90))
@settings(max_examples=8, deadline=None)
def test_every_way_to_fit_is_the_processors_to_a_gray_level(how: dict, size, height: int, width: int):
    own = preparation(size, mean=(0.1, 0.5, 0.9), **how)
    assert own.sizing is not None
    assert levels_apart(own.pixels(StoredPicture(np.array(photo(height, width)))), photo(height, width), own).max() <= 1


def test_a_border_of_the_mean_lies_around_an_image_that_keeps_its_shape():
    own = preparation((20, 32), mean=(0.1, 0.5, 0.9), fit="pad")
    pixels = own.pixels(StoredPicture(np.full((50, 25, 3), 7, np.uint8)))
    assert pixels[:, :, 11:21].unique().tolist() == [7]
    border = torch.cat([pixels[:, :, :11], pixels[:, :, 21:]], dim=2)
    assert border.flatten(1).unique(dim=1).tolist() == [[26], [128], [230]]
    chosen = preparation((20, 32), fit="pad", pad_color=[1, 2, 3]).pixels(StoredPicture(np.zeros((5, 5, 3), np.uint8)))
    assert chosen[:, 0, 0].tolist() == [1, 2, 3]


def test_a_processor_of_another_kind_is_asked_itself():
    own = preparation()
    own.processor.do_pad = True
    own.sizing = None
    assert levels_apart(own.pixels(StoredPicture(np.array(photo()))), photo(), own).max() == 0


@pytest.mark.parametrize(
    ("sides", "target", "factor"), [((95, 400), (24, 24), 1), ((96, 400), (24, 24), 2), ((400, 400), (24, 24), 8)]
)
def test_a_jpeg_is_decoded_smaller_only_where_twice_the_target_is_left(
    sides: tuple[int, int], target: tuple[int, int], factor: int
):
    assert spare_factor(sides[0], sides[1], target) == factor


def test_decoding_a_large_photo_smaller_keeps_within_two_thousandths():
    own = preparation(48)
    data = jpeg(photo(40, 52).resize((520, 400), Image.Resampling.BICUBIC), quality=95)
    picture = open_picture(data, "photo")
    assert spare_factor(picture.size[0], picture.size[1], (48, 48)) == 4
    whole = torch.from_numpy(picture.pixels(3))
    exact = resize(whole.numpy(), 48, 48, own.processor.resample)
    assert (own.pixels(picture).float() - exact.float()).abs().mean() / 255 < 0.002


def test_a_random_part_is_the_same_of_a_photo_decoded_whole_or_smaller():
    own, crop = preparation(32), RandomResizedCrop(scale=(0.5, 1.0))
    data = jpeg(photo(40, 52).resize((520, 400), Image.Resampling.BICUBIC), quality=95)
    picture = open_picture(data, "photo")
    for seed in range(4):
        numbers = np.random.default_rng(seed).random(BOX_DRAWS)
        part = own.part(picture, partial(crop.box, numbers=numbers))
        box = crop.box(400, 520, numbers)
        exact = resize(np.ascontiguousarray(box.of(picture.pixels(3), 400, 520)), 32, 32, own.processor.resample)
        # A border may lie half a pixel of the smaller decoding away, a quarter of one of the result.
        assert (part.float() - exact.float()).abs().mean() / 255 < 0.01


def test_a_random_part_is_pillows_crop_to_a_gray_level():
    own, crop, image = preparation(24), RandomResizedCrop(), photo(60, 80)
    numbers = np.random.default_rng(0).random(BOX_DRAWS)
    top, left, height, width = crop.box(60, 80, numbers)
    cut = image.crop((left, top, left + width, top + height)).resize((24, 24), Image.Resampling.BICUBIC)
    expected = rearrange(torch.from_numpy(np.array(cut)), "h w c -> c h w")
    part = own.part(StoredPicture(np.array(image)), partial(crop.box, numbers=numbers))
    assert (part.int() - expected.int()).abs().max() <= 1
