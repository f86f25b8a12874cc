"""Patches by einops and a Linear are patches by a convolution, in whole models and both directions."""

import pytest
import torch
from parity.comparing import LABELS, NUM_LABELS, assert_equal, randomise, two_leaves

from vit_hf import (
    VisionTransformerBackbone,
    VisionTransformerConfig,
    VisionTransformerForImageClassification,
    VisionTransformerForMaskedImageModeling,
    VisionTransformerModel,
)
from vit_hf.completion.adaptation import conv_to_linear, linear_to_conv

KERNEL = "embeddings.patches.projection.weight"
SIZES = [  # image, patch, channels
    ([24, 32], [4, 8], 3),
    ([24, 24], 8, 1),
    ([15, 10], [3, 5], 7),
    ([6, 4], [1, 2], 2),
]
DIRECTIONS = [("linear", "conv"), ("conv", "linear")]


def build(model_class, patch_embedding: str, image, patch, channels: int):
    config = VisionTransformerConfig(
        image_size=image,
        patch_size=patch,
        num_channels=channels,
        hidden_size=24,
        num_hidden_layers=3,
        num_attention_heads=3,
        intermediate_size=40,
        num_labels=NUM_LABELS,
        patch_embedding=patch_embedding,
    )
    return model_class(config).double().eval()


def build_both(model_class, first: str, second: str, image, patch, channels: int):
    """Two models with the same random weights, the second with the kernel of the first in its other form."""
    original, other = (build(model_class, word, image, patch, channels) for word in (first, second))
    randomise(original)
    state = original.state_dict()
    key = next(name for name in state if name.endswith(KERNEL))
    to_other = {"conv": lambda weight: linear_to_conv(weight, channels, patch), "linear": conv_to_linear}[second]
    other.load_state_dict({**state, key: to_other(state[key])})
    return original, other, to_other


@pytest.mark.parametrize(("image", "patch", "channels"), SIZES)
@pytest.mark.parametrize(("first", "second"), DIRECTIONS)
def test_the_classifier_is_the_same_with_either_form_forwards_and_backwards(first, second, image, patch, channels):
    models = build_both(VisionTransformerForImageClassification, first, second, image, patch, channels)
    (original, other), to_other = models[:2], models[2]
    pixels = two_leaves(*image, channels)
    outputs = [model(leaf, labels=LABELS) for model, leaf in zip((original, other), pixels, strict=True)]
    for output in outputs:
        output.loss.backward()
    assert_equal(outputs[1].logits, outputs[0].logits)
    assert_equal(outputs[1].loss, outputs[0].loss)
    assert_equal(pixels[1].grad, pixels[0].grad)
    gradients = {name: weight.grad for name, weight in other.named_parameters()}
    for name, weight in original.named_parameters():
        expected = to_other(weight.grad) if name.endswith(KERNEL) else weight.grad
        torch.testing.assert_close(gradients[name], expected, rtol=0, atol=1e-12, msg=f"gradient of {name}")


@pytest.mark.parametrize(
    ("model_class", "field"),
    [
        (VisionTransformerModel, "last_hidden_state"),
        (VisionTransformerForMaskedImageModeling, "reconstruction"),
        (VisionTransformerBackbone, "feature_maps"),
    ],
)
@pytest.mark.parametrize(("first", "second"), DIRECTIONS)
def test_every_model_is_the_same_with_either_form_in_native_and_other_sizes(model_class, field, first, second):
    original, other, _ = build_both(model_class, first, second, *SIZES[0])
    for size in ((24, 32), (40, 16)):
        pixels = torch.randn(2, 3, *size, dtype=torch.float64)
        found, expected = getattr(other(pixels), field), getattr(original(pixels), field)
        for one, two in zip(found, expected, strict=True):
            assert_equal(one, two)


@pytest.mark.parametrize(("image", "patch", "channels"), SIZES)
def test_each_direction_undoes_the_other_to_the_bit(image, patch, channels):
    del image
    height, across = patch if isinstance(patch, list) else (patch, patch)
    kernel = torch.randn(8, channels, height, across)
    linear = conv_to_linear(kernel)
    assert torch.equal(linear_to_conv(linear, channels, patch), kernel)
    assert torch.equal(conv_to_linear(linear_to_conv(linear, channels, patch)), linear)
    # The order within a patch is row, column, channel.
    assert torch.equal(linear[:, 1], kernel[:, 1, 0, 0] if channels > 1 else kernel[:, 0, 0, 1])
