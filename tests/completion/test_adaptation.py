import pytest
import torch
from einops import rearrange
from hypothesis import given
from hypothesis import strategies as st
from tiny import tiny_config

from vit_hf.completion.adaptation import adapt_channels, adapt_pixels, changed_fields, labels_differ, resample_kernel
from vit_hf.models.positions import resample_grid

SIDES = st.tuples(st.integers(1, 6), st.integers(1, 6))


@given(SIDES, st.integers(0, 3), st.integers(0, 3))
def test_an_enlarged_patch_keeps_its_token(size, more_rows, more_columns):
    larger = (size[0] + more_rows, size[1] + more_columns)
    kernel = torch.randn(5, 2, *size, dtype=torch.float64)
    patch = torch.randn(1, 2, *size, dtype=torch.float64)
    enlarged = rearrange(patch, "1 c h w -> c (h w) 1")
    enlarged = rearrange(resample_grid(enlarged, size, larger), "c (h w) 1 -> 1 c h w", h=larger[0])
    token = (kernel * patch).sum((1, 2, 3))
    torch.testing.assert_close((resample_kernel(kernel, larger) * enlarged).sum((1, 2, 3)), token, atol=1e-7, rtol=0)


def test_a_kernel_of_the_same_size_is_itself():
    kernel = torch.randn(5, 2, 4, 3)
    assert resample_kernel(kernel, (4, 3)) is kernel


def test_gray_images_see_the_sum_over_colors():
    kernel = torch.randn(4, 3, 2, 2)
    torch.testing.assert_close(adapt_channels(kernel, 1)[:, 0], kernel.sum(1))


@pytest.mark.parametrize("channels", [2, 4, 6, 7])
def test_more_channels_repeat_the_old_ones_at_the_same_total(channels):
    kernel = torch.randn(4, 3, 2, 2)
    adapted = adapt_channels(kernel, channels)
    for index in range(channels):
        torch.testing.assert_close(adapted[:, index], kernel[:, index % 3] * 3 / channels)


def test_values_of_each_pixel_follow_patches_and_channels():
    values = torch.tensor([1.0, 2.0, 1.0, 2.0, 1.0, 2.0, 1.0, 2.0])  # 2 x 2 pixels, two channels
    adapted = adapt_pixels(values, (2, 2), (3, 3), 2, 3)
    assert adapted.shape == (27,)
    torch.testing.assert_close(adapted.reshape(9, 3), torch.tensor([1.0, 2.0, 1.0]).expand(9, 3))


def test_what_changed_is_named():
    old = tiny_config()
    assert changed_fields(old, tiny_config(image_size=[32, 32])) == set()
    assert changed_fields(old, tiny_config(image_size=64, num_channels=1)) == {"image_size", "num_channels"}
    assert changed_fields(old, tiny_config(patch_size=4, num_labels=2)) == {"patch_size", "id2label"}


def test_names_that_transformers_made_up_are_no_other_labels():
    cats, dogs = {0: "cat", 1: "dog"}, {0: "dog", 1: "cat"}
    assert not labels_differ({0: "LABEL_0", 1: "LABEL_1"}, cats)
    assert not labels_differ(cats, {0: "LABEL_0", 1: "LABEL_1"})
    assert labels_differ(cats, dogs)
    assert labels_differ(cats, {0: "cat"})
