"""Our model with the weights of timm's VisionTransformer is the same function."""

import pytest
import torch
from parity.comparing import (
    NUM_LABELS,
    SINGLE,
    TIGHT,
    all_tokens_in_training,
    assert_equal,
    assert_same_classifier,
    in_training,
    make_twins,
)
from timm.models.vision_transformer import VisionTransformer

from vit_hf import VisionTransformerConfig, VisionTransformerForImageClassification
from vit_hf.conversion.core.rules import Table, dropped
from vit_hf.conversion.timm.vit_rules import timm_table
from vit_hf.models.positions import sincos_2d

IMAGE, PATCH = (24, 32), (4, 8)
DIM, DEPTH, HEADS, RATIO = 24, 3, 3, 2

# Keys of ours that are sums of timm's, or that timm has none for, and whose gradients therefore are not timm's.
FOLDED = {
    "class, registers, patches": ["embeddings.register_tokens"],
    "registers, patches": ["embeddings.register_tokens"],
    "patches, beside a class": ["embeddings.positions.table"],
}


def table_of(ours, theirs) -> Table:
    return timm_table(ours.config, no_embed_class=theirs.no_embed_class)


def build_ours(**words):
    config = VisionTransformerConfig(
        image_size=list(IMAGE),
        patch_size=list(PATCH),
        hidden_size=DIM,
        num_hidden_layers=DEPTH,
        num_attention_heads=HEADS,
        intermediate_size=DIM * RATIO,
        num_labels=NUM_LABELS,
        **{"patch_embedding": "conv"} | words,
    )
    return VisionTransformerForImageClassification(config)


def build_theirs(**words):
    return VisionTransformer(
        img_size=IMAGE,
        patch_size=PATCH,
        num_classes=NUM_LABELS,
        embed_dim=DIM,
        depth=DEPTH,
        num_heads=HEADS,
        mlp_ratio=RATIO,
        **words,
    )


def assert_same(ours, theirs, positions="class, patches", size=IMAGE, tolerance=TIGHT):
    table = table_of(ours, theirs)
    make_twins(ours, theirs, table)
    assert_same_classifier(ours, theirs, table, size, tolerance=tolerance, besides=FOLDED.get(positions, ()))
    pixels = torch.randn(2, 3, *size, dtype=torch.float64)
    assert_equal(ours.vit(pixels).last_hidden_state, theirs.forward_features(pixels), 10 * tolerance)


@pytest.mark.parametrize("patch_embedding", ["conv", "linear"])
def test_the_class_token_model_is_the_same(patch_embedding):
    ours, theirs = build_ours(patch_embedding=patch_embedding), build_theirs()
    assert_same(ours, theirs)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({"layer_scale_init_value": 0.1}, {"init_values": 0.1}),
        ({"qk_norm": True}, {"qk_norm": True}),
        ({"qkv_bias": False}, {"qkv_bias": False}),
        ({"hidden_act": "gelu_pytorch_tanh"}, {"act_layer": "gelu_tanh"}),
        ({"layer_scale_init_value": 1e-5, "qk_norm": True}, {"init_values": 1e-5, "qk_norm": True}),
    ],
)
def test_the_same_words_of_the_blocks_give_the_same_model(ours, theirs):
    assert_same(build_ours(**ours), build_theirs(**theirs))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({"pooling": "cls"}, {"global_pool": "token"}),
        ({"pooling": "cls", "final_norm": "pooled"}, {"global_pool": "token", "fc_norm": True}),
        ({"pooling": "mean", "final_norm": "pooled"}, {"global_pool": "avg"}),
        ({"pooling": "mean", "final_norm": "tokens"}, {"global_pool": "avg", "fc_norm": False}),
        ({"pooling": "mean_all", "final_norm": "pooled"}, {"global_pool": "avg", "pool_include_prefix": True}),
        ({"pooling": "attention"}, {"global_pool": "map", "pool_include_prefix": True}),
    ],
)
def test_each_pooling_is_the_same(ours, theirs):
    assert_same(build_ours(**ours), build_theirs(**theirs))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({"pooling": "mean", "final_norm": "pooled"}, {"global_pool": "avg"}),
        ({"pooling": "mean_all", "final_norm": "pooled"}, {"global_pool": "avg"}),
        ({"pooling": "attention"}, {"global_pool": "map"}),
    ],
)
def test_each_pooling_is_the_same_without_a_class_token(ours, theirs):
    assert_same(build_ours(class_token=False, **ours), build_theirs(class_token=False, **theirs), "patches")


@pytest.mark.parametrize(
    ("positions", "ours", "theirs"),
    [
        ("class, registers, patches", {}, {"no_embed_class": False}),
        ("patches, beside a class", {}, {"no_embed_class": True}),
        ("registers, patches", {"class_token": False}, {"class_token": False, "no_embed_class": False}),
        ("patches", {"class_token": False}, {"class_token": False, "no_embed_class": True}),
        ("none", {"position_embedding": "none"}, {"pos_embed": "none"}),
    ],
)
def test_registers_are_the_same_wherever_positions_are_added(positions, ours, theirs):
    pooled = {"pooling": "mean", "final_norm": "pooled"}
    ours = build_ours(num_register_tokens=2, **pooled, **ours)
    theirs = build_theirs(reg_tokens=2, global_pool="avg", **theirs)
    assert_same(ours, theirs, positions)


def test_a_class_token_without_a_position_is_the_same():
    assert_same(build_ours(), build_theirs(no_embed_class=True), "patches, beside a class")


@pytest.mark.parametrize("size", [(24, 32), (32, 24), (12, 56), (48, 64)])
@pytest.mark.parametrize(
    ("positions", "ours", "theirs"),
    [
        ("class, patches", {}, {}),
        ("patches, beside a class", {}, {"no_embed_class": True}),
        (
            "class, registers, patches",
            {"num_register_tokens": 2},
            {"reg_tokens": 2},
        ),
    ],
)
def test_images_of_other_sizes_get_the_same_positions(size, positions, ours, theirs):
    """Of another size timm reads the table in float32."""
    ours, theirs = build_ours(**ours), build_theirs(dynamic_img_size=True, **theirs)
    assert_same(ours, theirs, positions, size=size, tolerance=TIGHT if size == IMAGE else SINGLE)


def test_our_waves_in_its_table_make_timm_a_sincos_model():
    ours, theirs = build_ours(position_embedding="sincos_2d"), build_theirs(no_embed_class=True)
    without = [line for line in table_of(ours, theirs) if "pos_embed" not in line.theirs]
    table = [*without, dropped("pos_embed", "the waves of ours, written into it below")]
    make_twins(ours, theirs, table)
    with torch.no_grad():
        theirs.pos_embed.copy_(sincos_2d((6, 4), DIM))
    assert_same_classifier(ours, theirs, table, IMAGE)


@pytest.mark.parametrize("words", [{"class_token": True}, {"reg_tokens": 2}])
def test_attention_pooling_of_the_patches_alone_has_no_form_beside_prefix_tokens(words):
    """timm's default leaves the class token and registers out; ours looks at all tokens."""
    ours = build_ours(pooling="attention", num_register_tokens=words.get("reg_tokens", 0))
    theirs = build_theirs(global_pool="map", no_embed_class=True, **words)
    make_twins(ours, theirs, table_of(ours, theirs))
    pixels = torch.randn(2, 3, *IMAGE, dtype=torch.float64)
    assert (ours(pixels).logits - theirs(pixels)).abs().max() > 1e-3
    theirs.pool_include_prefix = True
    assert_equal(ours(pixels).logits, theirs(pixels))


def test_dropout_leaves_out_the_same_units_in_training():
    ours = build_ours(
        num_register_tokens=2,
        hidden_dropout_prob=0.3,
        attention_probs_dropout_prob=0.2,
        embedding_dropout_prob=0.1,
        attn_implementation="sdpa",
    )
    rates = {"proj_drop_rate": 0.3, "attn_drop_rate": 0.2, "pos_drop_rate": 0.1}
    theirs = build_theirs(reg_tokens=2, no_embed_class=True, **rates)
    make_twins(ours, theirs, table_of(ours, theirs))
    pixels = torch.randn(2, 3, *IMAGE, dtype=torch.float64)
    still = theirs(pixels)
    expected = in_training(theirs, pixels)
    assert_equal(all_tokens_in_training(ours, pixels), expected)
    assert (expected - still).abs().max() > 0.1


@pytest.mark.parametrize(("rate", "depth"), [(0.0, 4), (0.1, 12), (0.5, 3), (0.3, 1)])
def test_stochastic_depth_grows_from_layer_to_layer_as_timms(rate, depth):
    config = VisionTransformerConfig(hidden_size=4, num_attention_heads=1, intermediate_size=4)
    config.num_hidden_layers, config.drop_path_rate = depth, rate
    ours = VisionTransformerForImageClassification(config)
    theirs = VisionTransformer(embed_dim=4, num_heads=1, depth=depth, drop_path_rate=rate)
    rates = [getattr(block.drop_path1, "drop_prob", 0.0) for block in theirs.blocks]
    assert [layer.drop_path.rate for layer in ours.vit.layers] == pytest.approx(rates, abs=1e-7)
