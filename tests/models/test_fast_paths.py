"""What only saves time changes no number: the plain forms of the papers give the same, and so do their gradients."""

from typing import Any

import pytest
import torch
from tiny import V2, clips, images, tiny, tiny_swin, tiny_timesformer
from torch import Tensor, nn

from vit_hf import (
    SwinTransformerForImageClassification,
    TimeSformerForVideoClassification,
    VisionTransformerForImageClassification,
    VisionTransformerModel,
)
from vit_hf.models import fast_paths
from vit_hf.models.fast_paths import gelu, needed_queries, plain_forms

MODELS: dict[str, tuple[Any, Tensor]] = {
    "vit": (lambda: tiny(VisionTransformerForImageClassification), images()),
    "vit, relative": (
        lambda: tiny(VisionTransformerForImageClassification, position_embedding="relative_bias"),
        images(),
    ),
    "swin": (lambda: tiny_swin(SwinTransformerForImageClassification), images()),
    "swin, padded": (lambda: tiny_swin(SwinTransformerForImageClassification), images(height=30, width=44)),
    "swin, padding hidden": (
        lambda: tiny_swin(SwinTransformerForImageClassification, mask_padding=True),
        images(height=9, width=60),
    ),
    "swin v2": (lambda: tiny_swin(SwinTransformerForImageClassification, **V2), images(height=30, width=44)),
    "timesformer": (lambda: tiny_timesformer(TimeSformerForVideoClassification), clips()),
}


@pytest.mark.parametrize("kind", MODELS)
def test_plain_forms_give_the_same_logits(kind):
    build, pixels = MODELS[kind]
    model, pixels = build().double().eval(), pixels.double()
    with torch.no_grad():
        fast = model(pixels).logits
        with plain_forms():
            plain = model(pixels).logits
    torch.testing.assert_close(fast, plain, atol=1e-12, rtol=0)
    assert fast_paths.ENABLED


@pytest.mark.parametrize("kind", MODELS)
def test_plain_forms_give_the_same_gradients(kind):
    build, pixels = MODELS[kind]
    model, pixels = build().double(), pixels.double()
    model(pixels).logits.square().sum().backward()
    fast = {name: parameter.grad.clone() for name, parameter in model.named_parameters() if parameter.grad is not None}
    model.zero_grad()
    with plain_forms():
        model(pixels).logits.square().sum().backward()
    plain = {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert fast.keys() == plain.keys()
    for name, gradient in plain.items():
        torch.testing.assert_close(fast[name], gradient, atol=1e-11, rtol=1e-9, msg=lambda text, n=name: f"{n}: {text}")


def test_gelu_reuses_memory_only_where_nobody_else_holds_it():
    linear, tokens = nn.Linear(4, 8), torch.randn(2, 3, 4)
    with torch.no_grad():
        hidden = linear(tokens)
        expected = nn.functional.gelu(hidden)
        assert gelu(hidden, linear) is hidden
        assert torch.equal(hidden, expected)
        handle = linear.register_forward_hook(lambda module, given, made: None)
        watched = linear(tokens)
        assert gelu(watched, linear) is not watched
        handle.remove()
        with plain_forms():
            assert gelu(watched, linear) is not watched
    learning = linear(tokens)
    assert gelu(learning, linear) is not learning


def test_all_tokens_are_queries_where_anybody_looks():
    layers = tiny(VisionTransformerModel).layers
    assert needed_queries(layers, 1) == [None, 1]
    assert needed_queries(layers, None) == [None, None]
    handle = layers[-1].attention.output.register_forward_hook(lambda module, given, made: None)
    assert needed_queries(layers, 1) == [None, None]
    handle.remove()
    with plain_forms():
        assert needed_queries(layers, 1) == [None, None]


@pytest.mark.parametrize("kind", MODELS)
def test_norms_in_single_precision_go_with_the_rest_in_half(kind):
    build, pixels = MODELS[kind]
    model = build().eval()
    with torch.no_grad():
        exact = model(pixels).logits
        model.bfloat16()
        for module in model.modules():
            if isinstance(module, nn.LayerNorm):
                module.float()
        mixed = model(pixels).logits
    assert mixed.dtype == torch.bfloat16
    torch.testing.assert_close(mixed.float(), exact, atol=0.3, rtol=0.1)
