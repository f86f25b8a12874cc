"""Rotary positions are those of DINOv3, as tables and in a whole model."""

import pytest
import torch
from parity.comparing import SINGLE, assert_equal, assert_same_gradients, make_twins, two_leaves
from transformers.models.dinov3_vit.configuration_dinov3_vit import DINOv3ViTConfig
from transformers.models.dinov3_vit.modeling_dinov3_vit import (
    DINOv3ViTModel,
    DINOv3ViTRopePositionEmbedding,
    apply_rotary_pos_emb,
)

from vit_hf import VisionTransformerConfig, VisionTransformerModel
from vit_hf.conversion.transformers.vit_rules import dinov3
from vit_hf.models.positions import apply_rotary, rotary_2d

IMAGE, PATCH = (24, 32), (4, 8)
SIZES = {"hidden_size": 48, "num_hidden_layers": 3, "num_attention_heads": 3, "intermediate_size": 40}
GRIDS = [(1, 1), (3, 3), (6, 4), (2, 9)]


def theirs_over(grid, width: int, theta: float):
    """Cosines and sines over the patches of DINOv3's own module."""
    config = DINOv3ViTConfig(hidden_size=2 * width, num_attention_heads=2, patch_size=2, rope_theta=theta)
    return DINOv3ViTRopePositionEmbedding(config).eval()(torch.zeros(1, 3, 2 * grid[0], 2 * grid[1]))


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("width", [4, 16, 64])
@pytest.mark.parametrize("theta", [100.0, 10_000.0])
def test_cosines_and_sines_are_those_of_dinov3(grid, width, theta):
    found = rotary_2d(grid, width, prefix=0, theta=theta)
    for ours, theirs in zip(found, theirs_over(grid, width, theta), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=SINGLE)


@pytest.mark.parametrize("prefix", [0, 1, 5])
@pytest.mark.parametrize("grid", GRIDS)
def test_queries_and_keys_are_turned_as_dinov3_turns_them_and_prefix_tokens_stay(grid, prefix):
    query, key = torch.randn(2, 2, 3, prefix + grid[0] * grid[1], 16, dtype=torch.float64)
    tables = [table.double() for table in rotary_2d(grid, 16, prefix=prefix, theta=100.0)]
    # Their function on the part of our tables that belongs to patches: the same numbers to the last digit.
    expected = apply_rotary_pos_emb(query, key, *(table[prefix:] for table in tables))
    for ours, theirs in zip((query, key), expected, strict=True):
        turned = apply_rotary(ours, *tables)
        assert_equal(turned, theirs)
        assert torch.equal(turned[..., :prefix, :], ours[..., :prefix, :])


@pytest.mark.parametrize("registers", [0, 3])
@pytest.mark.parametrize("size", [IMAGE, (32, 24), (8, 64)])
def test_the_whole_model_is_dinov3_at_any_size(registers, size):
    """Both make their angles in float32, by another order of the same steps."""
    shared = {**SIZES, "image_size": list(IMAGE), "patch_size": list(PATCH), "layer_norm_eps": 1e-5}
    ours = VisionTransformerConfig(
        **shared,
        patch_embedding="conv",
        position_embedding="rotary",
        num_register_tokens=registers,
        layer_scale_init_value=1.0,
    )
    theirs = DINOv3ViTConfig(**shared, num_register_tokens=registers, attn_implementation="sdpa")
    ours, theirs = VisionTransformerModel(ours), DINOv3ViTModel(theirs)
    table = dinov3(ours.config, key_bias=False)
    make_twins(ours, theirs, table)
    our_pixels, their_pixels = two_leaves(*size)
    found, expected = ours(our_pixels), theirs(their_pixels)
    assert_equal(found.last_hidden_state, expected.last_hidden_state, SINGLE)
    assert_equal(found.pooler_output, expected.pooler_output, SINGLE)
    for output in (found, expected):
        output.last_hidden_state.tanh().mean().backward()
    assert_equal(our_pixels.grad, their_pixels.grad, SINGLE / 10)
    # Keys of ours have a bias, here zero and with a gradient of its own.
    assert_same_gradients(ours, theirs, table, SINGLE, besides=["qkv.bias"])


def test_the_angles_make_a_difference_that_the_tolerance_would_not_hide():
    tokens = torch.randn(1, 1, 24, 16)
    tables = rotary_2d((6, 4), 16, prefix=0, theta=100.0)
    exchanged = rotary_2d((4, 6), 16, prefix=0, theta=100.0)
    assert (apply_rotary(tokens, *tables) - tokens).abs().max() > 0.1
    assert (apply_rotary(tokens, *tables) - apply_rotary(tokens, *exchanged)).abs().max() > 0.1
