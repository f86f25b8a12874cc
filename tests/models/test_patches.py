from typing import Any

import pytest
import torch
from tiny import images

from vit_hf.completion.adaptation import conv_to_linear, linear_to_conv
from vit_hf.models.patches import LinearPatches, build_patches


def test_a_patch_is_flattened_by_row_then_column_then_channel():
    image = torch.arange(2 * 4 * 6.0).reshape(1, 2, 4, 6)
    patches = LinearPatches(2, [2, 3], 5, norm=False, eps=1e-6).flatten(image)
    assert patches.shape == (1, 4, 12)
    second = [[image[0, :, row, column].tolist() for column in (3, 4, 5)] for row in (0, 1)]  # to the right
    assert patches[0, 1].tolist() == torch.tensor(second).flatten().tolist()
    assert patches[0, 2, 0] == image[0, 0, 2, 0]  # the third patch is below


def test_kernels_change_form_and_back():
    weight = torch.randn(7, 4 * 2 * 3)
    assert torch.equal(conv_to_linear(linear_to_conv(weight, 3, [4, 2])), weight)


def test_a_convolution_is_the_linear_map_with_its_weight_reshaped():
    linear = build_patches("linear", channels=3, patch_size=[8, 4], width=6).double()
    conv = build_patches("conv", channels=3, patch_size=[8, 4], width=6).double()
    state = linear.state_dict()
    state["projection.weight"] = linear_to_conv(state["projection.weight"], 3, [8, 4])
    conv.load_state_dict(state)
    pixels = images(height=16, width=24).double()
    torch.testing.assert_close(conv(pixels), linear(pixels), atol=1e-13, rtol=0)


def test_both_norms_of_dual_patch_norm_are_there():
    patches: Any = build_patches("linear", channels=1, patch_size=2, width=3, norm=True)
    assert patches.norm_before.normalized_shape == (4,)
    assert patches.norm_after.normalized_shape == (3,)
    tokens = patches(images(channels=1))
    torch.testing.assert_close(tokens.mean(-1), torch.zeros(2, 256), atol=1e-6, rtol=0)


def test_a_convolution_has_no_flattened_patches_to_normalize():
    with pytest.raises(ValueError, match="take patch_embedding='linear'"):
        build_patches("conv", channels=1, patch_size=2, width=3, norm=True)
