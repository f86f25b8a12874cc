"""Maps of attention are what the written-out matrices of all tokens by all tokens give, for every family."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from tiny import V2, clips, images, tiny, tiny_swin, tiny_timesformer
from torch import Tensor

from vit_hf import (
    SwinTransformerForImageClassification,
    TimeSformerForVideoClassification,
    VisionTransformerForImageClassification,
)
from vit_hf.errors import UserError
from vit_hf.explanation.attention_maps import attention, contribution, relevance, rollout
from vit_hf.models.window_blocks import halved

CLOSE: Any = {"rtol": 1e-4, "atol": 1e-6}


def tiny_vit(**fields):
    return tiny(VisionTransformerForImageClassification, num_hidden_layers=3, **fields)


def best(model, pixels: Tensor) -> Tensor:
    return model(pixels).logits.argmax(-1)


def weighed(model, pixels: Tensor, targets: Tensor, *, helping: bool) -> tuple[list[list[Tensor]], Tensor, Tensor]:
    """-> by kind (attentions, and of time) the mean over heads of all layers' weights, or of weights times gradients
    where these help; the tokens that the head reads, and their gradient. By autograd over the whole model."""
    normed: list[Tensor] = []
    handle = model.base_model.norm.register_forward_hook(lambda module, given, output: normed.append(output))
    outputs = model(pixels, output_attentions=True)
    handle.remove()
    kinds = [outputs.attentions, getattr(outputs, "temporal_attentions", None) or ()]
    (last,) = normed
    flat = [one for kind in kinds for one in kind]
    logit = outputs.logits.gather(1, targets[:, None]).sum()
    *gradients, of_last = torch.autograd.grad(logit, [*flat, last])
    found = iter(
        scaled((one * gradient).clamp(min=0).mean(1, keepdim=True)) if helping else one.mean(1, keepdim=True)
        for one, gradient in zip(flat, gradients, strict=True)
    )
    return [[next(found).detach() for _ in kind] for kind in kinds], last.detach(), of_last


def scaled(groups: Tensor) -> Tensor:
    """g 1 q k -> g 1 q k: the largest sum of a row of each group is 1"""
    return torch.stack([group / group.sum(-1).max() for group in groups])


def rolled(matrices: Sequence[Tensor], start: Tensor, *, halve: bool) -> Tensor:
    """b n n of each layer, first to last; b n -> b n: by the product of the whole matrices"""
    product = torch.eye(matrices[0].shape[-1]).expand(len(start), -1, -1)
    for matrix in matrices:
        if matrix.shape[-1] == matrix.shape[-2]:
            step = matrix + torch.eye(matrix.shape[-1])
            product = (step / 2 if halve else step) @ product
        else:
            product = matrix @ product
    return (start[:, None] @ product)[:, 0]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"pooling": "mean", "class_token": False, "position_embedding": "rotary"},
        {"num_register_tokens": 2, "position_embedding": "relative_bias", "image_size": [40, 24]},
        {"num_register_tokens": 1, "distillation_token": True},
        {"pooling": "cls_mean", "qk_norm": True},
        {"pooling": "attention"},
    ],
)
def test_of_vit_relevance_is_the_product_of_all_layers(fields):
    model, (height, width) = tiny_vit(**fields), fields.get("image_size", [32, 32])
    pixels = images(height=height, width=width)
    targets = best(model, pixels)
    (matrices, _), last, gradient = weighed(model, pixels, targets, helping=True)
    start = contribution(last, gradient)
    expected = rolled([matrix[:, 0] for matrix in matrices], start, halve=False)
    prefix = model.config.num_prefix_tokens
    found = relevance(model, pixels, targets)
    assert found.shape == (2, height // 8, width // 8)
    torch.testing.assert_close(found.flatten(1), expected[:, prefix:], **CLOSE)


def test_of_vit_rollout_begins_at_the_class_token():
    model, pixels = tiny_vit(), images()
    (matrices, _), _, _ = weighed(model, pixels, best(model, pixels), helping=False)
    start = torch.eye(17)[:1].expand(2, -1)
    expected = rolled([matrix[:, 0] for matrix in matrices], start, halve=True)
    torch.testing.assert_close(expected.sum(1), torch.ones(2))
    torch.testing.assert_close(rollout(model, pixels, best(model, pixels)).flatten(1), expected[:, 1:], **CLOSE)


def test_attention_is_a_row_of_one_layer_and_head():
    model, pixels = tiny_vit(), images()
    weights = model(pixels, output_attentions=True).attentions
    targets = best(model, pixels)
    torch.testing.assert_close(attention(model, pixels, targets).flatten(1), weights[-1].mean(1)[:, 0, 1:])
    found = attention(model, pixels, targets, layer=0, head=3)
    torch.testing.assert_close(found.flatten(1), weights[0][:, 3, 0, 1:])


def test_a_mean_reads_every_patch_as_much():
    model, pixels = tiny_vit(pooling="mean"), images()
    weights = model(pixels, output_attentions=True).attentions[-1].mean(1)
    found = attention(model, pixels, best(model, pixels))
    torch.testing.assert_close(found.flatten(1), weights[:, 1:].mean(1)[:, 1:])


def test_relevance_does_not_ask_how_large_logits_are():
    model, pixels = tiny_vit(), images()
    found = relevance(model, pixels, torch.tensor([1, 3]))
    with torch.no_grad():
        model.classifier.weight *= 100
    torch.testing.assert_close(relevance(model, pixels, torch.tensor([1, 3])), found, **CLOSE)


@pytest.mark.parametrize("fields", [{}, V2, {"window_size": 5}, {"depths": [1, 2, 1], "num_heads": [2, 2, 2]}])
@pytest.mark.parametrize("height", [32, 30])
def test_of_swin_windows_are_matrices_of_the_whole_image(fields, height):
    model, pixels = tiny_swin(SwinTransformerForImageClassification, **fields), images(height=height)
    targets = best(model, pixels)
    for helping, explain in ((True, relevance), (False, rollout)):
        (windows, _), last, gradient = weighed(model, pixels, targets, helping=helping)
        placed = [matrix[:, 0] for matrix in model.swin.placed_attentions(tuple(windows), pixels)]
        matrices, grid = [], model.swin.grid_of(pixels)
        depths = list(model.config.depths)
        for stage, depth in enumerate(depths):
            if stage:
                matrices.append(merging(grid))
                grid = halved(grid)
            matrices += [placed.pop(0) for _ in range(depth)]
        uniform = torch.full((2, last.shape[1]), 1 / last.shape[1])
        start = contribution(last, gradient) if helping else uniform
        expected = rolled(matrices, start, halve=not helping)
        torch.testing.assert_close(explain(model, pixels, targets).flatten(1), expected, **CLOSE)


def merging(grid: tuple[int, int]) -> Tensor:
    """-> 1 n m: each of n merged patches is the mean of up to four of the m before, of four even at an edge."""
    rows, columns = grid
    matrix = torch.zeros((rows + 1) // 2 * ((columns + 1) // 2), rows * columns)
    for row in range(rows):
        for column in range(columns):
            matrix[row // 2 * ((columns + 1) // 2) + column // 2, row * columns + column] = 1 / 4
    return matrix[None]


def divided(model, pixels: Tensor, targets: Tensor, *, helping: bool) -> tuple[list[Tensor], Tensor, Tensor]:
    """-> of each layer b n n of time and then of space, over the tokens (1 t n); last tokens and their gradient"""
    (space, time), last, gradient = weighed(model, pixels, targets, helping=helping)
    frames, places = 4, 16
    matrices = []
    for of_space, of_time in zip(space, time, strict=True):
        over_time = torch.zeros(2, 65, 65)
        for item in range(2):
            for place in range(places):
                tokens = 1 + place + places * torch.arange(frames)
                over_time[item][tokens[:, None], tokens] = of_time[item * places + place, 0]
        over_space = torch.zeros(2, 65, 65)
        for item in range(2):
            for frame in range(frames):
                tokens = torch.cat([torch.zeros(1).long(), 1 + frame * places + torch.arange(places)])
                weights = of_space[item * frames + frame, 0].clone()
                weights[0] /= frames
                over_space[item][tokens[:, None], tokens] += weights
        matrices += [over_time, over_space]
    return matrices, last, gradient


def test_of_timesformer_time_and_space_are_matrices_of_the_whole_clip():
    model, pixels = tiny_timesformer(TimeSformerForVideoClassification), clips()
    targets = best(model, pixels)
    matrices, last, gradient = divided(model, pixels, targets, helping=True)
    found = relevance(model, pixels, targets)
    expected = rolled(matrices, contribution(last, gradient), halve=False)
    assert found.shape == (2, 4, 4, 4)
    torch.testing.assert_close(found.flatten(1), expected[:, 1:], **CLOSE)


@pytest.mark.parametrize("fields", [{"attention_type": "joint_space_time"}, {"attention_type": "space_only"}])
def test_clips_without_divided_attention_are_as_images(fields):
    model, pixels = tiny_timesformer(TimeSformerForVideoClassification, **fields), clips()
    targets = best(model, pixels)
    (matrices, _), _, _ = weighed(model, pixels, targets, helping=True)
    rows = len(matrices[0])  # of clips, or of all their frames, whose mean the head reads
    start = torch.eye(matrices[0].shape[-1])[:1].expand(rows, -1) * 2 / rows
    expected = rolled([matrix[:, 0] for matrix in matrices], start, halve=False)
    expected = expected[:, 1:].reshape(2, 4, 4, 4)
    torch.testing.assert_close(relevance(model, pixels, targets), expected, **CLOSE)


def test_a_class_token_that_looks_at_all_tokens_by_itself_gives_what_it_has():
    model = tiny_timesformer(TimeSformerForVideoClassification, class_attention="all", num_hidden_layers=1)
    found = rollout(model, clips(), torch.zeros(2).long())
    # The class token reads a half of itself, and another of all 65 tokens, of which the patches look at each other and
    # at it in turn: what is lost to patches is what the class token holds of itself, at least a half of the half.
    assert found.shape == (2, 4, 4, 4)
    assert (found > 0).all()
    assert (found.flatten(1).sum(1) < 0.75).all()


@pytest.mark.parametrize("options", [{"layer": 3}, {"layer": -4}, {"head": 4}, {"head": -1}])
def test_layers_and_heads_that_do_not_exist_are_refused(options):
    (name,) = options
    with pytest.raises(UserError, match=f"There is no {name} .*3|There is no {name} .*0 to 3"):
        attention(tiny_vit(), images(), torch.zeros(2).long(), **options)
