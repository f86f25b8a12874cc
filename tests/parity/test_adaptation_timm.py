"""Weights adapted to another size are those that timm makes of the same."""

import pytest
import torch
from timm.layers import patch_embed
from timm.layers.pos_embed import resample_abs_pos_embed
from timm.models._manipulate import adapt_input_conv

from vit_hf.completion.adaptation import adapt_channels, resample_kernel
from vit_hf.models.positions import resample_grid


@pytest.mark.parametrize("old", [(4, 4), (8, 8), (3, 5)])
@pytest.mark.parametrize("new", [(4, 4), (8, 8), (16, 16), (2, 2), (5, 7), (8, 3)])
def test_kernels_are_resampled_as_timm_resamples_them(old, new, monkeypatch):
    """timm inverts the resizing in float32, unless it is told to be as exact as we are."""
    monkeypatch.setattr(patch_embed, "DTYPE_INTERMEDIATE", torch.float64)
    kernel = torch.randn(6, 3, *old, dtype=torch.float64)
    found, expected = resample_kernel(kernel, new), patch_embed.resample_patch_embed(kernel, list(new))
    assert found.shape == (6, 3, *new)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("old", "new"), [(3, 1), (3, 2), (3, 4), (3, 7), (3, 3), (4, 1), (4, 6), (1, 3)])
def test_kernels_are_adapted_to_channels_as_timm_adapts_them(old, new):
    kernel = torch.randn(6, old, 4, 4)
    expected = adapt_input_conv(new, kernel.clone(), base_chans=old)
    torch.testing.assert_close(adapt_channels(kernel, new), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("old", [(4, 4), (6, 3)])
@pytest.mark.parametrize("new", [(4, 4), (6, 3), (3, 6), (9, 9), (2, 5), (1, 1), (5, 1), (1, 5)])
def test_positions_are_resampled_as_timm_resamples_them(old, new):
    table = torch.randn(1, old[0] * old[1], 8)
    expected = resample_abs_pos_embed(table, list(new), list(old), num_prefix_tokens=0)
    torch.testing.assert_close(resample_grid(table, old, new), expected, rtol=0, atol=1e-6)
