"""Our model with the weights of today's vit-pytorch is the same function."""

import pytest
import torch
from parity.comparing import (
    NUM_LABELS,
    all_tokens_in_training,
    assert_equal,
    assert_same_classifier,
    in_training,
    make_twins,
)
from vit_pytorch.simple_vit import SimpleViT, posemb_sincos_2d
from vit_pytorch.vit import ViT

from vit_hf import VisionTransformerConfig, VisionTransformerForImageClassification
from vit_hf.conversion.core.infer_config import whole_table
from vit_hf.conversion.core.rules import Table
from vit_hf.conversion.original.vit_pytorch import find
from vit_hf.models.positions import sincos_2d

IMAGE, PATCH = (24, 32), (4, 8)
DIM, DEPTH, MLP_DIM = 24, 3, 40

# The words that say what today's vit-pytorch builds: unlike the tutorial's, with norms around the patches, the
# last norm before the pooling, and a class token only where it is what is pooled.
TODAY = {"dual_patch_norm": True, "qkv_bias": False, "layer_norm_eps": 1e-5, "final_norm": "tokens"}
POOLS = {
    "cls": {"pooling": "cls", "class_token": True, "position_embedding_init": "normal"},
    "mean": {"pooling": "mean", "class_token": False, "position_embedding_init": "normal"},
}
SIMPLE = {"pooling": "mean", "class_token": False, "position_embedding": "sincos_2d"}


def table_of(ours, theirs) -> Table:
    found = find(theirs.state_dict(), heads=1, pool=None, image_size=IMAGE, channels=3, live=theirs)
    return whole_table(found, ours.config, "vit")


def build_ours(heads: int = 3, dim_head: int = 10, patch=PATCH, backend: str | None = None, **words):
    config = VisionTransformerConfig(
        image_size=list(IMAGE),
        patch_size=list(patch),
        hidden_size=DIM,
        num_hidden_layers=DEPTH,
        num_attention_heads=heads,
        head_dim=dim_head,
        intermediate_size=MLP_DIM,
        num_labels=NUM_LABELS,
        attn_implementation=backend,
        **TODAY | words,
    )
    return VisionTransformerForImageClassification(config)


def build_theirs(kind=ViT, heads: int = 3, dim_head: int = 10, patch=PATCH, **words):
    sizes = {"image_size": IMAGE, "patch_size": patch, "dim": DIM, "depth": DEPTH, "mlp_dim": MLP_DIM}
    return kind(**sizes, heads=heads, dim_head=dim_head, num_classes=NUM_LABELS, **words)


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize(("heads", "dim_head"), [(3, 8), (3, 10), (1, 7)])
def test_logits_loss_and_gradients_are_those_of_the_vit(pool, heads, dim_head):
    ours, theirs = build_ours(heads, dim_head, **POOLS[pool]), build_theirs(ViT, heads, dim_head, pool=pool)
    make_twins(ours, theirs, table_of(ours, theirs))
    assert_same_classifier(ours, theirs, table_of(ours, theirs), IMAGE)


@pytest.mark.parametrize("pool", POOLS)
def test_one_head_of_the_full_width_has_no_output_projection_which_is_an_identity_of_ours(pool):
    ours, theirs = build_ours(1, DIM, **POOLS[pool]), build_theirs(ViT, 1, DIM, pool=pool)
    make_twins(ours, theirs, table_of(ours, theirs))
    assert_same_classifier(ours, theirs, table_of(ours, theirs), IMAGE)


@pytest.mark.parametrize("pool", POOLS)
def test_tokens_are_those_of_a_vit_without_classes(pool):
    ours, theirs = build_ours(**POOLS[pool]), build_theirs(pool=pool)
    make_twins(ours, theirs, table_of(ours, theirs))
    theirs.mlp_head = None
    pixels = torch.randn(2, 3, *IMAGE, dtype=torch.float64)
    assert_equal(ours.vit(pixels).last_hidden_state, theirs(pixels))


@pytest.mark.parametrize("pool", POOLS)
def test_dropout_leaves_out_the_same_units_in_training(pool):
    ours = build_ours(
        **POOLS[pool],
        backend="eager",
        hidden_dropout_prob=0.3,
        attention_probs_dropout_prob=0.3,
        embedding_dropout_prob=0.2,
    )
    theirs = build_theirs(pool=pool, dropout=0.3, emb_dropout=0.2)
    make_twins(ours, theirs, table_of(ours, theirs))
    pixels = torch.randn(2, 3, *IMAGE, dtype=torch.float64)
    assert_equal(all_tokens_in_training(ours, pixels), in_training(theirs, pixels))


@pytest.mark.parametrize(("heads", "dim_head"), [(3, 8), (2, 7)])
def test_logits_loss_and_gradients_are_those_of_the_simple_vit(heads, dim_head):
    """Its attention has no output bias, and its waves are added in float32 as ours are."""
    ours, theirs = build_ours(heads, dim_head, **SIMPLE), build_theirs(SimpleViT, heads, dim_head)
    make_twins(ours, theirs, table_of(ours, theirs))
    assert_same_classifier(ours, theirs, table_of(ours, theirs), IMAGE, tolerance=1e-6)


@pytest.mark.parametrize("grid", [(1, 1), (3, 3), (2, 5), (14, 9)])
@pytest.mark.parametrize("width", [8, 24, 64])
def test_waves_are_those_of_the_simple_vit(grid, width):
    torch.testing.assert_close(sincos_2d(grid, width), posemb_sincos_2d(*grid, width), rtol=0, atol=2e-6)


def test_norms_around_the_patches_have_no_convolution_and_the_config_says_what_would_do():
    with pytest.raises(ValueError, match="take patch_embedding='linear'"):
        build_ours(patch_embedding="conv")


def test_smaller_images_differ_as_vit_pytorch_gives_them_the_first_positions_of_its_table():
    ours, theirs = build_ours(**POOLS["mean"]), build_theirs(pool="mean")
    make_twins(ours, theirs, table_of(ours, theirs))
    smaller = torch.randn(2, 3, IMAGE[0], IMAGE[1] // 2, dtype=torch.float64)
    assert (ours(smaller).logits - theirs(smaller)).abs().max() > 1e-3
    patches = ours.vit.embeddings.patches(smaller)
    first = ours.vit.embeddings.positions.table[:, : patches.shape[1]]
    tokens = patches + first
    for layer in ours.vit.layers:
        tokens = layer(tokens, grid=(6, 2))
    assert_equal(ours.classifier(ours.vit.norm(tokens).mean(dim=1)), theirs(smaller))
