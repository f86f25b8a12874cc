"""Our model, told the tutorial's words, is the tutorial's own ViT."""

import pytest
import torch
from parity import tutorial
from parity.comparing import (
    NUM_LABELS,
    TIGHT,
    all_tokens_in_training,
    assert_equal,
    assert_same_classifier,
    copy_weights,
    in_training,
    make_twins,
    randomise,
)

from vit_hf import VisionTransformerConfig, VisionTransformerForImageClassification
from vit_hf.completion.adaptation import conv_to_linear
from vit_hf.conversion.core.rules import Table, constant, mapped, weight_and_bias

IMAGE, PATCH = (24, 32), (4, 8)
DIM, DEPTH, MLP_DIM = 24, 3, 40

# The words of our config that say what the tutorial builds; each test changes what it is about.
TUTORIAL = {
    "patch_embedding": "linear",
    "position_embedding": "learned",
    "position_embedding_init": "normal",
    "class_token": True,
    "pooling": "cls",
    "final_norm": "pooled",
    "qkv_bias": False,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-5,
}
POOLS = {"cls": "cls", "mean": "mean_all"}
PATCHES = {"linear": tutorial.LinearPatches, "conv": tutorial.ConvPatches}
POSITIONS = {
    ("learned", "normal"): tutorial.NormalPositions,
    ("learned", "trunc_normal"): tutorial.TruncatedPositions,
    ("embedding", "normal"): tutorial.EmbeddedPositions,
}

ENCODER: Table = [
    *weight_and_bias("encoder.layers.{layer}.0.norm", "vit.layers.{layer}.attention_norm"),
    mapped("encoder.layers.{layer}.0.function.to_qkv.weight", "vit.layers.{layer}.attention.qkv.weight"),
    *weight_and_bias("encoder.layers.{layer}.0.function.to_out.0", "vit.layers.{layer}.attention.output"),
    *weight_and_bias("encoder.layers.{layer}.1.norm", "vit.layers.{layer}.feed_forward_norm"),
    *weight_and_bias("encoder.layers.{layer}.1.function.net.0", "vit.layers.{layer}.feed_forward.inner"),
    *weight_and_bias("encoder.layers.{layer}.1.function.net.3", "vit.layers.{layer}.feed_forward.outer"),
]
VIT: Table = [
    mapped("cls_token", "vit.embeddings.class_token"),
    mapped("positions.table", "vit.embeddings.positions.table"),
    mapped("positions.table.weight", "vit.embeddings.positions.table.weight"),
    *weight_and_bias("patches.project", "vit.embeddings.patches.projection"),
    *ENCODER,
    *weight_and_bias("mlp_head.0", "vit.norm"),
    *weight_and_bias("mlp_head.1", "classifier"),
]
SWIN_ENDS: Table = [
    mapped("positions.table", "vit.embeddings.positions.table"),
    *weight_and_bias("patches.project", "vit.embeddings.patches.projection"),
    *ENCODER,
    *weight_and_bias("norm", "vit.norm"),
    *weight_and_bias("head", "classifier"),
]
# Where the tutorial leaves the output projection out, ours changes nothing.
NO_PROJECTION: Table = [
    constant("vit.layers.{layer}.attention.output.weight", torch.eye(DIM)),
    constant("vit.layers.{layer}.attention.output.bias", torch.zeros(DIM)),
]


def build_ours(heads: int = 3, dim_head: int = 10, num_labels: int = NUM_LABELS, backend: str | None = None, **words):
    config = VisionTransformerConfig(
        image_size=list(IMAGE),
        patch_size=list(PATCH),
        hidden_size=DIM,
        num_hidden_layers=DEPTH,
        num_attention_heads=heads,
        head_dim=dim_head,
        intermediate_size=MLP_DIM,
        num_labels=num_labels,
        **TUTORIAL | words,
    )
    config._attn_implementation = backend
    return VisionTransformerForImageClassification(config)


def build_theirs(heads: int = 3, dim_head: int = 10, kind=tutorial.ViT, num_classes: int = NUM_LABELS, **parts):
    sizes = {"image_size": IMAGE, "patch_size": PATCH, "dim": DIM, "depth": DEPTH, "mlp_dim": MLP_DIM}
    return kind(**sizes, heads=heads, dim_head=dim_head, num_classes=num_classes, **parts)


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("patches", PATCHES)
@pytest.mark.parametrize(("positions", "init"), POSITIONS)
def test_each_form_of_patches_positions_and_pooling_is_the_tutorials(pool, patches, positions, init):
    theirs = build_theirs(pool=pool, patches=PATCHES[patches], positions=POSITIONS[positions, init])
    words = {"position_embedding": positions, "position_embedding_init": init}
    ours = build_ours(pooling=POOLS[pool], patch_embedding=patches, **words)
    make_twins(ours, theirs, VIT)
    assert_same_classifier(ours, theirs, VIT, IMAGE)


def test_tokens_of_the_last_layer_are_the_tutorials_and_carry_no_norm():
    theirs, ours = build_theirs(), build_ours()
    make_twins(ours, theirs, VIT)
    pixels = torch.randn(2, 3, *IMAGE, dtype=torch.float64)
    assert_equal(ours.vit(pixels).last_hidden_state, theirs.tokens(pixels), tolerance=10 * TIGHT)


@pytest.mark.parametrize(("heads", "dim_head"), [(3, 8), (3, 11), (1, 7), (5, 24)])
def test_heads_may_be_of_any_width(heads, dim_head):
    theirs, ours = build_theirs(heads, dim_head), build_ours(heads, dim_head)
    make_twins(ours, theirs, VIT)
    assert_same_classifier(ours, theirs, VIT, IMAGE)


def test_one_head_of_the_full_width_has_no_output_projection_which_is_an_identity_of_ours():
    theirs, ours = build_theirs(heads=1, dim_head=DIM), build_ours(heads=1, dim_head=DIM)
    assert not any("to_out" in key for key in theirs.state_dict())
    make_twins(ours, theirs, VIT + NO_PROJECTION)
    assert_same_classifier(ours, theirs, VIT + NO_PROJECTION, IMAGE)


def test_linear_patches_of_the_tutorial_become_our_convolution():
    table = [line for line in VIT if "vit.embeddings.patches.projection.weight" not in line.ours]
    table.append(mapped("patches.project.weight", "vit.embeddings.patches.projection.weight", conv_to_linear))
    theirs, ours = build_theirs(patches=tutorial.ConvPatches), build_ours(patch_embedding="linear")
    make_twins(ours, theirs, table)
    assert_same_classifier(ours, theirs, table, IMAGE)


@pytest.mark.parametrize("num_labels", [NUM_LABELS, 0])
def test_swins_patches_positions_and_average_pooling_are_ours_without_a_class_token(num_labels):
    words = {"patch_embedding": "conv", "position_embedding_init": "trunc_normal", "class_token": False}
    ours = build_ours(num_labels=num_labels, pooling="mean", final_norm="tokens", **words)
    theirs = build_theirs(kind=tutorial.SwinEnds, num_classes=num_labels)
    make_twins(ours, theirs, SWIN_ENDS)
    if num_labels:
        assert_same_classifier(ours, theirs, SWIN_ENDS, IMAGE)
    else:
        pixels = torch.randn(2, 3, *IMAGE, dtype=torch.float64)
        assert_equal(ours(pixels).logits, theirs(pixels))


@pytest.mark.parametrize("pool", POOLS)
def test_dropout_leaves_out_the_same_units_in_training(pool):
    """Both draw after the positions, of attention's weights, its output, and twice of the feed-forward."""
    theirs = build_theirs(pool=pool, dropout=0.3, emb_dropout=0.2)
    ours = build_ours(
        pooling=POOLS[pool],
        hidden_dropout_prob=0.3,
        attention_probs_dropout_prob=0.3,
        embedding_dropout_prob=0.2,
        backend="eager",
    )
    make_twins(ours, theirs, VIT)
    pixels = torch.randn(2, 3, *IMAGE, dtype=torch.float64)
    still = theirs(pixels)
    expected = in_training(theirs, pixels)
    assert_equal(all_tokens_in_training(ours, pixels), expected)
    assert not torch.allclose(expected, still, atol=0.1)


@pytest.mark.parametrize(("positions", "init"), POSITIONS)
def test_positions_begin_as_the_tutorial_draws_them(positions, init):
    theirs = build_theirs(positions=POSITIONS[positions, init], pool="mean")
    ours = build_ours(position_embedding=positions, position_embedding_init=init)
    drawn = [model.state_dict() for model in (theirs, ours)]
    tables = [
        next(table for key, table in state.items() if key.endswith(("positions.table", "positions.table.weight")))
        for state in drawn
    ]
    std = {"normal": 1.0, "trunc_normal": 0.02}[init]
    for table in tables:
        assert tables[0].shape == table.shape
        assert table.std().item() == pytest.approx(std, rel=0.1)
        assert abs(table.mean().item()) < 0.2 * std


def test_the_class_token_begins_from_the_normal_distribution_as_in_the_tutorial():
    sizes = {"hidden_size": 1000, "num_hidden_layers": 1, "num_attention_heads": 1, "head_dim": 4}
    config = VisionTransformerConfig(**sizes, intermediate_size=4, **TUTORIAL)
    ours = VisionTransformerForImageClassification(config)
    assert ours.vit.embeddings.class_token.std().item() == pytest.approx(1.0, rel=0.1)


def test_a_key_that_no_pair_covers_is_an_error():
    theirs, ours = build_theirs(), build_ours()
    with pytest.raises(ValueError, match=r"No rule covers \['mlp_head.1.bias', 'mlp_head.1.weight'\]"):
        copy_weights(theirs, ours, VIT[:-2])


def test_a_key_of_ours_that_nothing_fills_is_an_error():
    theirs, ours = build_theirs(heads=1, dim_head=DIM), build_ours(heads=1, dim_head=DIM)
    with pytest.raises(ValueError, match=r"nothing that makes .*attention\.output\.weight"):
        copy_weights(theirs, ours, VIT)


def test_random_weights_leave_nothing_at_zero_or_one():
    theirs = build_theirs()
    randomise(theirs)
    for name, parameter in theirs.named_parameters():
        assert parameter.std() > 0.05, name
        assert not torch.isin(parameter, torch.tensor([0.0, 1.0])).any(), name
