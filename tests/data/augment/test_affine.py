import pytest
import torch

from vit_hf.data.augment.geometry import AFFINE, apply_affine, identity_matrices, rotation_matrices, shift_matrices


def images(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


def test_the_identity_moves_nothing():
    pixels = images(2, 3, 6, 9)
    torch.testing.assert_close(apply_affine(pixels, identity_matrices(2)), pixels)


def test_a_shift_of_one_pixel_moves_columns_by_one_and_brings_in_black():
    pixels = images(1, 1, 8, 8)
    moved = apply_affine(pixels, shift_matrices(torch.tensor([[1.0, 0.5]]), 1 / 8))
    torch.testing.assert_close(moved[..., :-1], pixels[..., 1:], atol=1e-5, rtol=0)
    assert moved[..., -1].abs().max() < 1e-5


@pytest.mark.parametrize(("height", "width"), [(5, 5), (5, 9)])
def test_a_quarter_turn_turns_pixels_and_not_the_unit_square(height: int, width: int):
    pixels = images(1, 1, height, width)
    turned = apply_affine(pixels, rotation_matrices(torch.tensor([[1.0, 0.5]]), 90))
    middle = slice((width - height) // 2, (width + height) // 2)  # what of a wide image stays inside it
    torch.testing.assert_close(turned[..., middle], pixels[..., middle].rot90(1, (2, 3)), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", sorted(AFFINE))
def test_numbers_in_the_middle_leave_an_image_as_it_is(name: str):
    pixels = images(1, 3, 8, 8)
    torch.testing.assert_close(apply_affine(pixels, AFFINE[name](torch.full((1, 2), 0.5), 0.2)), pixels)
