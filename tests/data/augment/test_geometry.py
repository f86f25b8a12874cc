"""Pillow's affine transform is the oracle, away from what comes in from outside."""

import numpy as np
import pytest
import torch
from PIL import Image

from vit_hf.data.augment import geometry as warps


def smooth(height: int = 24, width: int = 32) -> torch.Tensor:
    """-> 1 3 h w: so smooth that the border of a rounding is no other color"""
    y, x = np.mgrid[:height, :width]
    waves = [127 + 100 * np.sin(x / 9 + y / (5 + channel)) for channel in range(3)]
    return torch.from_numpy(np.stack(waves)[None].astype(np.uint8))


def by_pillow(pixels: torch.Tensor, change) -> torch.Tensor:
    return torch.from_numpy(np.array(change(Image.fromarray(pixels[0].permute(1, 2, 0).numpy())))).permute(2, 0, 1)[
        None
    ]


SHEARED = {
    "shear_x": lambda amount: (1, amount, 0, 0, 1, 0),
    "shear_y": lambda amount: (1, 0, 0, amount, 1, 0),
}


@pytest.mark.parametrize("name", SHEARED)
@pytest.mark.parametrize("amount", [-0.27, 0.1, 0.9])
def test_a_warp_is_pillows_to_a_gray_level(name: str, amount: float):
    pixels, marker = smooth(), torch.full((1, 3, 24, 32), 255, dtype=torch.uint8)
    data, bilinear = SHEARED[name](amount), Image.Resampling.BILINEAR
    change = lambda image: image.transform(image.size, Image.Transform.AFFINE, data, bilinear)  # noqa: E731
    inside = (by_pillow(marker, change) == 255) & (warps.warp(marker, matrix(data), fill=0) == 255)
    moved = getattr(warps, name)(pixels, torch.tensor([amount]))
    assert inside.float().mean() > 0.3
    assert (moved.int() - by_pillow(pixels, change).int()).abs()[inside].max() <= 1


@pytest.mark.parametrize("degrees", [-30, 12.5, 90])
def test_a_rotation_is_pillows_to_a_gray_level(degrees: float):
    pixels = smooth()
    turned = warps.rotate(pixels, torch.tensor([float(degrees)]))
    expected = by_pillow(pixels, lambda image: image.rotate(degrees, Image.Resampling.BILINEAR))
    middle = (..., slice(6, 18), slice(10, 22))
    assert (turned.int() - expected.int()).abs()[middle].max() <= 1


def matrix(data: tuple[float, ...]) -> torch.Tensor:
    return torch.tensor(data).float().reshape(1, 2, 3)


@pytest.mark.parametrize("amount", [-40.0, -3.7, 0.5, 3.0, 40.0])
def test_a_translation_moves_by_whole_pixels_and_gray_comes_in(amount: float):
    pixels = smooth()
    by = int(amount)
    for name, data in (("translate_x", (1, 0, by, 0, 1, 0)), ("translate_y", (1, 0, 0, 0, 1, by))):
        change = lambda image, data=data: image.transform(  # noqa: E731
            image.size, Image.Transform.AFFINE, data, Image.Resampling.NEAREST, fillcolor=(128, 128, 128)
        )
        assert torch.equal(getattr(warps, name)(pixels, torch.tensor([amount])), by_pillow(pixels, change)), name


def test_nothing_moved_is_nothing_changed():
    pixels = torch.randint(0, 256, (2, 3, 7, 11), dtype=torch.uint8)
    for name in ("rotate", "translate_x", "translate_y", *SHEARED):
        assert torch.equal(getattr(warps, name)(pixels, torch.zeros(2)), pixels), name
