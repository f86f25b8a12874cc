"""What layers hold is measured as the paper's figures are, on numbers made by hand."""

import pytest
import torch
from tiny import V2, clips, images, tiny, tiny_swin, tiny_timesformer

from vit_hf import (
    SwinTransformerForImageClassification,
    TimeSformerForVideoClassification,
    VisionTransformerForImageClassification,
)
from vit_hf.explanation.inside import (
    attention_distance,
    features,
    filters,
    in_three_colors,
    last_features,
    mean_distance,
    position_similarity,
    time_attention,
)


def test_features_of_up_to_six_blocks_are_shown_in_color():
    model = tiny(VisionTransformerForImageClassification, num_hidden_layers=8, num_register_tokens=2)
    found = features(model, images(height=32, width=24))
    assert [*found] == ["block 1", "block 2", "block 4", "block 5", "block 7", "block 8"]
    for colors in found.values():
        assert colors.shape == (2, 4, 3, 3)
        assert colors.min() == 0
        assert colors.max() == 1


def test_of_swin_each_stage_is_shown_before_it_is_merged():
    model = tiny_swin(SwinTransformerForImageClassification, depths=[1, 2, 1], num_heads=[2, 2, 2], **V2)
    found = features(model, images())
    assert {name: tuple(colors.shape) for name, colors in found.items()} == {
        "block 1": (2, 16, 16, 3),
        "block 3": (2, 8, 8, 3),
        "block 4": (2, 4, 4, 3),
    }


@pytest.mark.parametrize("kind", ["divided_space_time", "joint_space_time", "space_only"])
def test_of_clips_there_is_a_map_for_each_frame(kind):
    model = tiny_timesformer(TimeSformerForVideoClassification, attention_type=kind)
    assert [tuple(colors.shape) for colors in features(model, clips()).values()] == [(2, 4, 4, 4, 3)] * 2


@pytest.mark.parametrize("kind", ["divided_space_time", "space_only"])
def test_the_last_features_of_clips_are_the_tokens_that_leave_the_last_block(kind):
    model, pixels = tiny_timesformer(TimeSformerForVideoClassification, attention_type=kind), clips()
    hidden = []
    model.timesformer.layers[-1].register_forward_hook(lambda *given: hidden.append(given[-1]))
    found = last_features(model, pixels)
    tokens = hidden[0][0] if isinstance(hidden[0], tuple) else hidden[0]
    assert found.shape == (2, 4, 4, 4, tokens.shape[-1])
    frame = tokens.unflatten(0, (2, 4))[1, 2, -16:] if kind == "space_only" else tokens[1, -32:-16]
    torch.testing.assert_close(found[1, 2].flatten(0, 1), frame)


def test_colors_are_the_directions_of_most_variance():
    tokens = torch.zeros(1, 100, 5)
    tokens[0, :, 3] = torch.linspace(-10, 10, 100)
    tokens[0, ::2, 1] = 1
    colors = in_three_colors(tokens)[0]
    first = colors[:, 0] if colors[0, 0] < colors[-1, 0] else 1 - colors[:, 0]
    assert torch.equal(first.argsort(stable=True)[2:-2], torch.arange(2, 98))


@pytest.mark.parametrize("kind", ["linear", "conv"])
def test_filters_are_the_directions_of_the_projection(kind):
    model = tiny(VisionTransformerForImageClassification, patch_embedding=kind, patch_size=4, hidden_size=40)
    projection = model.vit.embeddings.patches.projection
    with torch.no_grad():
        projection.weight.mul_(1e-3)
        image = torch.rand(3, 4, 4)
        one = image.flatten() if kind == "conv" else image.permute(1, 2, 0).flatten()
        for row in range(40):
            projection.weight[row] += ((-1) ** row * one).view_as(projection.weight[row])
    found = filters(model)
    assert found.shape == (28, 3, 4, 4)
    same = (found[0] - found[0].min()) / (found[0].max() - found[0].min())
    expected = (image - image.min()) / (image.max() - image.min())
    assert min((same - expected).abs().max(), (1 - same - expected).abs().max()) < 0.01


@pytest.mark.parametrize("kind", ["learned", "embedding", "sincos_2d"])
def test_a_position_is_most_like_itself(kind):
    found = position_similarity(tiny(VisionTransformerForImageClassification, position_embedding=kind))
    assert found is not None
    assert found.shape == (4, 4, 4, 4)
    rows, columns = torch.meshgrid(torch.arange(4), torch.arange(4), indexing="ij")
    torch.testing.assert_close(found[rows, columns, rows, columns], torch.ones(4, 4))
    assert torch.equal(found.flatten(2).argmax(-1), 4 * rows + columns)


@pytest.mark.parametrize("kind", ["rotary", "relative_bias", "none"])
def test_without_added_positions_nothing_is_alike(kind):
    assert position_similarity(tiny(VisionTransformerForImageClassification, position_embedding=kind)) is None


def test_swin_has_positions_where_its_configuration_says_so():
    assert position_similarity(tiny_swin(SwinTransformerForImageClassification)) is None
    found = position_similarity(tiny_swin(SwinTransformerForImageClassification, ape=True))
    assert found is not None
    assert found.shape == (16, 16, 16, 16)


def test_distances_are_those_between_the_middles_of_patches():
    weights = torch.zeros(1, 3, 5, 5)
    weights[0, 0] = torch.eye(5)  # each looks at itself
    weights[0, 1, 1:, 1] = 1  # all at the first patch, which the class token's column stands before
    weights[0, 2, 1:, 1:] = 0.25
    weights[0, 2, :, 0] = 9.0  # of the class token nothing counts
    found = mean_distance(weights, (2, 2), (3, 4))
    torch.testing.assert_close(found, torch.tensor([0.0, (0 + 4 + 3 + 5) / 4, (0 + 4 + 3 + 5) / 4]))


def test_windows_and_merged_patches_are_measured_in_pixels():
    model = tiny_swin(SwinTransformerForImageClassification)
    found = attention_distance(model, images())
    assert [len(heads) for heads in found] == [2, 2, 2, 2]
    most = 2 * 3 * 2**0.5  # across a window of 4 x 4 patches of 2 pixels
    assert all(0 < heads.max() < most for heads in found[:2])
    assert all(0 < heads.max() < 2 * most for heads in found[2:])
    assert found[3].mean() > found[0].mean()


@pytest.mark.parametrize("kind", ["divided_space_time", "joint_space_time", "space_only"])
def test_of_clips_distances_are_within_a_frame(kind):
    model = tiny_timesformer(TimeSformerForVideoClassification, attention_type=kind)
    found = attention_distance(model, clips())
    assert [len(heads) for heads in found] == [4, 4]
    assert all(0 < heads.max() < 34 for heads in found)


def test_attention_over_time_is_even_where_nothing_tells_frames_apart():
    """Queries of zeros look at all frames alike, and at the class token where there is one among them."""
    model = tiny_timesformer(TimeSformerForVideoClassification)
    for name, module in model.named_modules():
        if name.endswith("temporal_attention.qkv"):
            torch.nn.init.zeros_(module.weight)
            torch.nn.init.zeros_(module.bias)
    found = time_attention(model, clips(2, frames=4))
    assert found.shape == (2, 4)
    torch.testing.assert_close(found, torch.full((2, 4), float(found[0, 0])))
    assert float(found[0, 0]) in (pytest.approx(1 / 4), pytest.approx(1 / 5))


def test_without_attention_over_time_there_is_no_curve():
    model = tiny_timesformer(TimeSformerForVideoClassification, attention_type="space_only")
    assert len(time_attention(model, clips(1))) == 0
    assert len(time_attention(tiny(VisionTransformerForImageClassification), images(1))) == 0
