"""Pillow's own operations are the oracle."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as some
from PIL import Image, ImageEnhance, ImageOps
from scipy import ndimage

from vit_hf.data.augment import color as tones

Change = Callable[[Image.Image], Image.Image]

FACTORS = [0.0, 0.1, 0.55, 1.0, 1.9]
ENHANCED = {
    "brightness": ImageEnhance.Brightness,
    "contrast": ImageEnhance.Contrast,
    "saturation": ImageEnhance.Color,
    "sharpness": ImageEnhance.Sharpness,
}
PLAIN: dict[str, Change] = {
    "auto_contrast": ImageOps.autocontrast,
    "equalize": ImageOps.equalize,
    "invert": ImageOps.invert,
    "gray_in_all": lambda image: image.convert("L").convert("RGB"),
}


def picture(seed: int, height: int = 13, width: int = 17, low: int = 0, high: int = 256) -> torch.Tensor:
    """-> 1 3 h w: smooth in the middle and noisy elsewhere"""
    numbers = np.random.default_rng(seed)
    pixels = numbers.integers(low, high, (1, 3, height, width), dtype=np.uint8)
    pixels[..., 3:9, 2:14] = numbers.integers(low, high)
    return torch.from_numpy(pixels)


def by_pillow(pixels: torch.Tensor, change: Change) -> torch.Tensor:
    changed = np.array(change(Image.fromarray(pixels[0].permute(1, 2, 0).numpy())))
    return torch.from_numpy(changed).permute(2, 0, 1)[None]


def furthest(first: torch.Tensor, second: torch.Tensor) -> int:
    return int((first.int() - second.int()).abs().max())


@pytest.mark.parametrize("name", ENHANCED)
@pytest.mark.parametrize("factor", FACTORS)
def test_an_enhancement_is_pillows_to_a_gray_level(name: str, factor: float):
    pixels = picture(0)
    expected = by_pillow(pixels, lambda image: ENHANCED[name](image).enhance(factor))
    assert furthest(getattr(tones, name)(pixels, torch.tensor([factor])), expected) <= 1


@pytest.mark.parametrize("name", PLAIN)
@given(seed=some.integers(0, 1000), low=some.integers(0, 100), spread=some.integers(1, 156))
@settings(max_examples=25, deadline=None)
def test_an_operation_on_levels_is_pillows_exactly(name: str, seed: int, low: int, spread: int):
    pixels = picture(seed, low=low, high=low + spread)
    assert torch.equal(getattr(tones, name)(pixels), by_pillow(pixels, PLAIN[name]))


@pytest.mark.parametrize("turn", [-0.5, -0.11, 0.0, 0.02, 0.37, 0.5])
def test_a_turn_of_the_hue_is_pillows_exactly(turn: float):
    pixels = torch.cat([picture(seed, 64, 64, low, high) for seed, low, high in ((0, 0, 256), (1, 90, 110))], dim=-1)

    def turned(image: Image.Image) -> Image.Image:
        angle, *others = image.convert("HSV").split()
        moved = (np.asarray(angle).astype(int) + int(turn * 255)) % 256
        return Image.merge("HSV", [Image.fromarray(moved.astype(np.uint8)), *others]).convert("RGB")

    assert torch.equal(tones.hue(pixels, torch.tensor([turn])), by_pillow(pixels, turned))


@pytest.mark.parametrize("bits", [1, 3, 8])
def test_posterizing_is_pillows(bits: int):
    pixels = picture(0)
    expected = by_pillow(pixels, lambda image: ImageOps.posterize(image, bits))
    assert torch.equal(tones.posterize(pixels, torch.tensor([bits])), expected)


@pytest.mark.parametrize("threshold", [0, 100, 256])
def test_solarizing_is_pillows(threshold: int):
    pixels = picture(0)
    expected = by_pillow(pixels, lambda image: ImageOps.solarize(image, threshold))
    assert torch.equal(tones.solarize(pixels, torch.tensor([threshold])), expected)


def test_adding_brightens_what_is_dark_and_nothing_else():
    pixels = torch.tensor([[[[0, 127, 128, 255]]]], dtype=torch.uint8)
    assert tones.solarize_add(pixels, torch.tensor([110.0])).flatten().tolist() == [110, 237, 128, 255]


@pytest.mark.parametrize("radius", [0.3, 1.0, 2.0])
def test_a_blur_is_a_gaussian_whose_border_repeats_itself(radius: float):
    pixels = picture(0, 30, 40)
    expected = ndimage.gaussian_filter(pixels[0].numpy().astype(float), (0, radius, radius), mode="nearest", radius=6)
    blurred = tones.blur(pixels, torch.tensor([radius]))
    assert furthest(blurred[0], torch.from_numpy(expected.round())) <= 1


def test_every_image_of_a_batch_is_changed_by_its_own_amount():
    pixels = torch.cat([picture(0), picture(1)])
    for name in (*ENHANCED, "hue", "solarize", "posterize", "blur"):
        operation, amounts = getattr(tones, name), torch.tensor([0.5, 1.5])
        alone = torch.cat([operation(pixels[:1], amounts[:1]), operation(pixels[1:], amounts[1:])])
        assert torch.equal(operation(pixels, amounts), alone), name


def test_a_gray_image_has_brightness_and_no_colors():
    gray = picture(0)[:, :1]
    assert torch.equal(tones.saturation(gray, torch.tensor([0.2])), gray)
    assert torch.equal(tones.hue(gray, torch.tensor([0.2])), gray)
    assert tones.brightness(gray, torch.tensor([0.0])).max() == 0
    with pytest.raises(ValueError, match="these have 4"):
        tones.gray(gray.expand(-1, 4, -1, -1))
