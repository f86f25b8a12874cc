"""Our model with the weights of transformers' ViT is the same function."""

import pytest
import torch
from parity.comparing import (
    LABELS,
    NUM_LABELS,
    SINGLE,
    TIGHT,
    assert_equal,
    assert_same_classifier,
    assert_same_gradients,
    in_training,
    make_twins,
    two_leaves,
)
from transformers import ViTConfig, ViTForImageClassification, ViTForMaskedImageModeling, ViTModel

from vit_hf import (
    VisionTransformerConfig,
    VisionTransformerForImageClassification,
    VisionTransformerForMaskedImageModeling,
    VisionTransformerModel,
)
from vit_hf.conversion.core.rules import Table, under, weight_and_bias
from vit_hf.conversion.transformers.vit_rules import decoder
from vit_hf.conversion.transformers.vit_rules import vit as trunk

IMAGE, PATCH, SQUARE_PATCH = (24, 32), (4, 8), 4
SIZES = {
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 3,
    "intermediate_size": 40,
    "layer_norm_eps": 1e-12,
}


def classifier(config: VisionTransformerConfig) -> Table:
    return [*under(trunk(config), theirs="vit.", ours="vit."), *weight_and_bias("classifier", "classifier")]


def painter(config: VisionTransformerConfig) -> Table:
    return [*under(trunk(config), theirs="vit.", ours="vit."), *decoder(config)]


def configs(backend: str = "sdpa", image=IMAGE, patch=PATCH, ours: dict | None = None, **theirs):
    """Ours and theirs of the same sizes."""
    shared = {**SIZES, "image_size": list(image), "patch_size": list(patch), "attn_implementation": backend}
    return VisionTransformerConfig(**shared | {"patch_embedding": "conv"} | (ours or {})), ViTConfig(**shared | theirs)


def logits_of(model, pixels):
    return model(pixels).logits


@pytest.mark.parametrize("pooling_layer", [True, False])
@pytest.mark.parametrize("patch_embedding", ["conv", "linear"])
def test_tokens_and_the_pooled_output_are_those_of_the_vit_model(pooling_layer, patch_embedding):
    ours, theirs = configs(ours={"add_pooling_layer": pooling_layer, "patch_embedding": patch_embedding})
    ours, theirs = VisionTransformerModel(ours), ViTModel(theirs, add_pooling_layer=pooling_layer)
    table = trunk(ours.config)
    make_twins(ours, theirs, table)
    our_pixels, their_pixels = two_leaves(*IMAGE)
    found, expected = ours(our_pixels), theirs(their_pixels)
    assert_equal(found.last_hidden_state, expected.last_hidden_state)
    pooled = expected.pooler_output if pooling_layer else expected.last_hidden_state[:, 0]
    assert_equal(found.pooler_output, pooled)

    weights = torch.randn_like(pooled)
    (found.last_hidden_state.tanh().sum() + (found.pooler_output * weights).sum()).backward()
    (expected.last_hidden_state.tanh().sum() + (pooled * weights).sum()).backward()
    assert_equal(our_pixels.grad, their_pixels.grad)
    assert_same_gradients(ours, theirs, table, tolerance=10 * TIGHT)


@pytest.mark.parametrize("patch_embedding", ["conv", "linear"])
@pytest.mark.parametrize(
    "words",
    [{}, {"qkv_bias": False}, {"hidden_act": "gelu_new"}, {"num_attention_heads": 1}, {"layer_norm_eps": 1e-2}],
)
def test_logits_loss_and_gradients_are_those_of_the_classifier(patch_embedding, words):
    words = {**words, "num_labels": NUM_LABELS}
    ours, theirs = configs(ours={**words, "patch_embedding": patch_embedding}, **words)
    ours, theirs = VisionTransformerForImageClassification(ours), ViTForImageClassification(theirs)
    table = classifier(ours.config)
    make_twins(ours, theirs, table)
    assert_same_classifier(ours, theirs, table, IMAGE, logits_of=logits_of)


def test_heads_of_another_width_are_the_same():
    ours, theirs = configs(ours={"head_dim": 10, "num_labels": NUM_LABELS}, num_labels=NUM_LABELS)
    theirs.head_dim = 10
    ours, theirs = VisionTransformerForImageClassification(ours), ViTForImageClassification(theirs)
    make_twins(ours, theirs, classifier(ours.config))
    assert_same_classifier(ours, theirs, classifier(ours.config), IMAGE, logits_of=logits_of)


@pytest.mark.parametrize(
    ("problem_type", "labels"),
    [
        ("single_label_classification", LABELS),
        ("multi_label_classification", torch.tensor([[0.0, 1, 1, 0, 0], [1, 0, 0, 0, 1]], dtype=torch.float64)),
        ("regression", torch.randn(2, NUM_LABELS, dtype=torch.float64)),
    ],
)
def test_the_loss_of_each_problem_type_is_transformers(problem_type, labels):
    words = {"num_labels": NUM_LABELS, "problem_type": problem_type}
    ours, theirs = configs(ours=words, **words)
    ours, theirs = VisionTransformerForImageClassification(ours), ViTForImageClassification(theirs)
    make_twins(ours, theirs, classifier(ours.config))
    pixels = torch.randn(2, 3, *IMAGE, dtype=torch.float64)
    assert_equal(ours(pixels, labels=labels).loss, theirs(pixels, labels=labels).loss)


def test_attention_maps_and_hidden_states_are_the_same():
    """Their softmax is in float32 when it is written out."""
    ours, theirs = configs("eager")
    ours, theirs = VisionTransformerModel(ours), ViTModel(theirs, add_pooling_layer=False)
    make_twins(ours, theirs, trunk(ours.config))
    pixels = torch.randn(2, 3, *IMAGE, dtype=torch.float64)
    asked = {"output_attentions": True, "output_hidden_states": True}
    found, expected = ours(pixels, **asked), theirs(pixels, **asked)
    for name in ("attentions", "hidden_states"):
        assert len(found[name]) == len(expected[name]) == SIZES["num_hidden_layers"] + (name == "hidden_states")
        for our_layer, their_layer in zip(found[name], expected[name], strict=True):
            assert_equal(our_layer, their_layer, SINGLE)


def test_hidden_states_are_equal_to_the_last_digit_where_attention_is_fused():
    ours, theirs = configs("sdpa")
    ours, theirs = VisionTransformerModel(ours), ViTModel(theirs, add_pooling_layer=False)
    make_twins(ours, theirs, trunk(ours.config))
    pixels = torch.randn(2, 3, *IMAGE, dtype=torch.float64)
    found, expected = ours(pixels, output_hidden_states=True), theirs(pixels, output_hidden_states=True)
    for our_layer, their_layer in zip(found.hidden_states, expected.hidden_states, strict=True):
        assert_equal(our_layer, their_layer)


@pytest.mark.parametrize("backend", ["sdpa", "eager"])
def test_masked_tokens_are_left_out_as_transformers_leaves_them_out(backend):
    ours, theirs = configs(backend)
    ours, theirs = VisionTransformerModel(ours), ViTModel(theirs, add_pooling_layer=False)
    make_twins(ours, theirs, trunk(ours.config))
    pixels = torch.randn(2, 3, *IMAGE, dtype=torch.float64)
    tokens = (IMAGE[0] // PATCH[0]) * (IMAGE[1] // PATCH[1]) + 1
    mask = (torch.arange(tokens) < torch.tensor([[tokens], [tokens - 9]])).long()
    found, expected = ours(pixels, attention_mask=mask), theirs(pixels, attention_mask=mask)
    unmasked = ours(pixels).last_hidden_state
    assert_equal(found.last_hidden_state, expected.last_hidden_state, TIGHT if backend == "sdpa" else SINGLE)
    torch.testing.assert_close(found.last_hidden_state[0], unmasked[0], rtol=0, atol=TIGHT)
    assert (found.last_hidden_state[1] - unmasked[1]).abs().max() > 1e-3


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_painted_images_loss_and_gradients_are_those_of_masked_image_modeling(share):
    square, patch = (16, 16), (SQUARE_PATCH, SQUARE_PATCH)
    ours, theirs = configs(image=square, patch=patch, image_size=16, patch_size=4, encoder_stride=4)
    ours, theirs = VisionTransformerForMaskedImageModeling(ours), ViTForMaskedImageModeling(theirs)
    make_twins(ours, theirs, painter(ours.config))
    our_pixels, their_pixels = two_leaves(*square)
    masked = torch.rand(2, 16) < share
    found = ours(our_pixels, bool_masked_pos=masked)
    expected = theirs(their_pixels, bool_masked_pos=masked)
    assert_equal(found.reconstruction, expected.reconstruction)
    assert_equal(found.loss, expected.loss, SINGLE)  # they count the masked pixels in float32
    found.loss.backward()
    expected.loss.backward()
    torch.testing.assert_close(our_pixels.grad, their_pixels.grad, rtol=0, atol=SINGLE / 10)
    assert_same_gradients(ours, theirs, painter(ours.config), SINGLE / 10)
    assert our_pixels.grad.abs().sum() > 0 or share == 0.0


def test_an_image_without_a_mask_is_painted_too_and_has_no_loss():
    ours, theirs = configs(image=(16, 16), patch=(4, 4), image_size=16, patch_size=4, encoder_stride=4)
    ours, theirs = VisionTransformerForMaskedImageModeling(ours), ViTForMaskedImageModeling(theirs)
    make_twins(ours, theirs, painter(ours.config))
    pixels = torch.randn(2, 3, 16, 16, dtype=torch.float64)
    found, expected = ours(pixels), theirs(pixels)
    assert_equal(found.reconstruction, expected.reconstruction)
    assert found.loss is None
    assert expected.loss is None


def test_dropout_of_attention_leaves_out_the_same_weights_in_training():
    """Not so of the feed-forward, where transformers drops once and the tutorial, timm and we drop twice."""
    words = {"attention_probs_dropout_prob": 0.3}
    ours, theirs = configs("eager", ours=words, **words)
    ours, theirs = VisionTransformerModel(ours), ViTModel(theirs, add_pooling_layer=False)
    make_twins(ours, theirs, trunk(ours.config))
    pixels = torch.randn(2, 3, *IMAGE, dtype=torch.float64)
    still = ours(pixels).last_hidden_state
    found, expected = (in_training(model, pixels).last_hidden_state for model in (ours, theirs))
    assert_equal(found, expected, SINGLE)
    assert (found - still).abs().max() > 0.1
