"""Relative biases are those of Swin without prefix tokens and of BEiT with a class token."""

import pytest
import torch
from parity.comparing import NUM_LABELS, assert_equal, assert_same_classifier, make_twins
from transformers import BeitConfig, BeitForImageClassification
from transformers.models.beit.modeling_beit import BeitRelativePositionBias
from transformers.models.swin.modeling_swin import SwinRelativePositionBias

from vit_hf import VisionTransformerConfig, VisionTransformerForImageClassification
from vit_hf.conversion.core.rules import Table, under, weight_and_bias
from vit_hf.conversion.transformers.vit_rules import beit
from vit_hf.models.positions import RelativeBias, relative_index

GRIDS = [(1, 1), (3, 3), (2, 4), (5, 3)]
HEADS = 3
SIZES = {
    "image_size": 16,
    "patch_size": 4,
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": HEADS,
    "intermediate_size": 40,
    "layer_norm_eps": 1e-12,
    "layer_scale_init_value": 0.1,
    "attn_implementation": "sdpa",
}


def beit_table(config: VisionTransformerConfig) -> Table:
    return [*under(beit(config), theirs="beit.", ours="vit."), *weight_and_bias("classifier", "classifier")]


def beit_bias(grid) -> BeitRelativePositionBias:
    sizes = {"image_size": [4 * side for side in grid], "patch_size": 4}
    return BeitRelativePositionBias(BeitConfig(**sizes, num_attention_heads=HEADS, hidden_size=24))


@pytest.mark.parametrize("grid", GRIDS)
def test_the_bias_without_prefix_tokens_is_swins(grid):
    ours, theirs = RelativeBias(grid, prefix=0, heads=HEADS), SwinRelativePositionBias(HEADS, grid)
    with torch.no_grad():
        ours.table.normal_()
        theirs.relative_position_bias_table.copy_(ours.table)
    assert torch.equal(ours(grid), theirs())
    assert torch.equal(relative_index(grid).flatten(), theirs.relative_position_index)


@pytest.mark.parametrize("grid", GRIDS)
def test_steps_between_patches_are_beits(grid):
    index = BeitRelativePositionBias.generate_relative_position_index(grid)
    assert torch.equal(relative_index(grid), index[1:, 1:])


@pytest.mark.parametrize("grid", [(1, 1), (3, 3), (5, 5)])
def test_the_bias_with_a_class_token_is_beits(grid):
    """On square grids; BEiT's code in transformers turns the table of others by their side."""
    ours, theirs = RelativeBias(grid, prefix=1, heads=HEADS), beit_bias(grid)
    with torch.no_grad():
        ours.table.normal_()
        theirs.relative_position_bias_table.copy_(ours.table)
    assert_equal(ours(grid), theirs(grid), 0.0)


@pytest.mark.parametrize("grid", [(2, 4), (5, 3)])
def test_the_bias_with_a_class_token_is_what_beits_index_reads_on_any_grid(grid):
    ours = RelativeBias(grid, prefix=1, heads=HEADS)
    torch.nn.init.normal_(ours.table)
    read = ours.table[BeitRelativePositionBias.generate_relative_position_index(grid)]
    assert torch.equal(ours(grid)[0], read.permute(2, 0, 1))


@pytest.mark.parametrize("prefix", [2, 5])
def test_each_of_several_prefix_tokens_has_the_bias_of_the_class_token(prefix):
    one, several = (RelativeBias((3, 2), prefix=count, heads=HEADS) for count in (1, prefix))
    torch.nn.init.normal_(one.table)
    several.load_state_dict(one.state_dict())
    of_one = torch.cat([torch.zeros(prefix - 1, dtype=torch.long), torch.arange(1 + 6)])
    assert torch.equal(several((3, 2)), one((3, 2))[..., of_one, :][..., of_one])


def test_logits_loss_and_gradients_are_those_of_beit():
    words = {"position_embedding": "relative_bias", "pooling": "mean", "final_norm": "pooled"}
    ours = VisionTransformerConfig(**SIZES, **words, patch_embedding="conv", num_labels=NUM_LABELS)
    theirs = BeitConfig(**SIZES, use_relative_position_bias=True, num_labels=NUM_LABELS)
    ours, theirs = VisionTransformerForImageClassification(ours), BeitForImageClassification(theirs)
    table = beit_table(ours.config)
    make_twins(ours, theirs, table)
    # Keys of ours have a bias, here zero; softmax leaves its gradient at zero too.
    assert_same_classifier(ours, theirs, table, (16, 16), logits_of=lambda model, pixels: model(pixels).logits)
