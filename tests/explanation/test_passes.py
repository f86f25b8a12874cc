"""Explaining leaves a model as it was, holds one layer at a time, and serves models that came with their own code."""

import weakref
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from tiny import V2, clips, images, tiny, tiny_swin, tiny_timesformer
from torch import Tensor
from transformers import AutoModelForImageClassification

from vit_hf import (
    SwinTransformerForImageClassification,
    TimeSformerForVideoClassification,
    VisionTransformerForImageClassification,
    VisionTransformerForMaskedImageModeling,
    VisionTransformerModel,
)
from vit_hf.errors import UserError
from vit_hf.explanation.explain import METHODS, explain
from vit_hf.explanation.passes import go_back, gradients_of, layout_of, record
from vit_hf.models.attention import Attention

FAMILIES: dict[str, Any] = {
    "vit": lambda **fields: (tiny(VisionTransformerForImageClassification, **fields), images()),
    "swin": lambda **fields: (tiny_swin(SwinTransformerForImageClassification, **fields), images()),
    "swin v2": lambda **fields: (tiny_swin(SwinTransformerForImageClassification, **V2, **fields), images(height=30)),
    "timesformer": lambda **fields: (tiny_timesformer(TimeSformerForVideoClassification, **fields), clips()),
}


@pytest.fixture(params=FAMILIES)
def model_and_pixels(request) -> tuple[Any, Tensor]:
    return FAMILIES[request.param]()


def test_going_back_gives_the_gradient_of_the_whole_model(model_and_pixels):
    model, pixels = model_and_pixels
    pixels = pixels.double()
    model.double()
    recording = record(model, pixels)
    targets = recording.logits.argmax(-1)
    (gradient,) = gradients_of(recording.logits, targets, [recording.last])
    for step in reversed(recording.steps):
        gradient, *_ = go_back(step, gradient)

    first: list[Tensor] = []
    embeddings = model.base_model.embeddings
    embeddings.register_forward_hook(lambda module, given, output: first.append(output))
    logits = model(pixels).logits
    torch.testing.assert_close(recording.logits, logits)
    torch.testing.assert_close(gradient, *gradients_of(logits, targets, first))


@pytest.fixture
def no_accelerator() -> Iterator[None]:
    """Without what a test before has left of one, and leaving nothing."""
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.mark.usefixtures("no_accelerator")
def test_a_model_that_accelerate_prepared_in_bfloat16_is_explained_in_float32():
    model, pixels = FAMILIES["vit"]()
    alone = explain(model, pixels)
    prepared = Accelerator(cpu=True, mixed_precision="bf16").prepare(model)
    wrapped = prepared.forward
    assert prepared(pixels).logits.ne(model._original_forward(pixels).logits).any()
    torch.testing.assert_close(explain(prepared, pixels).maps, alone.maps)
    assert prepared.forward is wrapped


@pytest.mark.parametrize("method", [*METHODS])
def test_a_model_is_left_as_it_was(model_and_pixels, method):
    if method == "integrated_gradients":
        pytest.importorskip("captum")
    model, pixels = model_and_pixels
    model.train()
    model.classifier.eval()
    model.classifier.weight.requires_grad_(False)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    config = model.config.to_dict() | {"attention": model.config._attn_implementation}

    explain(model, pixels, method=method)

    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert [module.training for module in model.modules()] == modes
    assert model.config.to_dict() | {"attention": model.config._attn_implementation} == config
    assert all(parameter.grad is None for parameter in model.parameters())
    assert [parameter.requires_grad for parameter in model.classifier.parameters()] == [False, True]
    for module in model.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
    assert torch.is_grad_enabled()


def test_a_failure_leaves_a_model_as_it_was():
    model, pixels = FAMILIES["vit"]()
    model.train()
    model.classifier.forward = lambda tokens: 1 / 0
    with pytest.raises(ZeroDivisionError):
        explain(model, pixels, method="relevance")
    with pytest.raises(ZeroDivisionError):
        record(model, pixels)
    assert all(module.training and not module._forward_hooks for module in model.modules())
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("method", ["relevance", "rollout"])
def test_no_more_than_the_attention_of_a_layer_is_held(method):
    model, pixels = tiny(VisionTransformerForImageClassification, num_hidden_layers=6), images()
    held: list[weakref.ref] = []
    most = 0

    def count(module: Any, given: Any, output: Any) -> None:
        nonlocal most
        if output[1] is not None:
            held.append(weakref.ref(output[1].untyped_storage()))
            most = max(most, sum(one() is not None for one in held))

    for module in model.modules():
        if isinstance(module, Attention):
            module.register_forward_hook(count)
    explain(model, pixels, method=method)
    assert len(held) == 6
    assert most == 1


@pytest.mark.parametrize("backend", ["eager", "sdpa", "flex_attention"])
@pytest.mark.parametrize("method", ["relevance", "attention"])
def test_any_backend_gives_the_same_map(backend, method):
    model, pixels = tiny(VisionTransformerForImageClassification), images()
    expected = explain(model, pixels, method=method)
    model.set_attn_implementation(backend)
    found = explain(model, pixels, method=method, target=expected.targets)
    torch.testing.assert_close(found.maps, expected.maps, rtol=1e-4, atol=1e-6)
    assert model.config._attn_implementation == backend


def test_a_model_with_code_of_its_own_is_explained_alike(tmp_path):
    model, pixels = tiny_swin(SwinTransformerForImageClassification), images()
    model.save_pretrained(tmp_path)
    strangers = AutoModelForImageClassification.from_pretrained(tmp_path, trust_remote_code=True, local_files_only=True)
    dynamic = load_dynamic(tmp_path)
    for other in (strangers, dynamic):
        for method in ("relevance", "rollout", "attention", "grad_cam"):
            expected = explain(model, pixels, method=method)
            torch.testing.assert_close(explain(other, pixels, method=method).maps, expected.maps)


def load_dynamic(folder) -> Any:
    """By the code that lies beside the weights, whose classes are none of the package's."""
    from transformers.dynamic_module_utils import get_class_from_dynamic_module

    found: Any = get_class_from_dynamic_module("modeling_swin.SwinTransformerForImageClassification", folder)
    assert not issubclass(found, SwinTransformerForImageClassification)
    return found.from_pretrained(folder)


@pytest.mark.parametrize("made", [VisionTransformerModel, VisionTransformerForMaskedImageModeling])
def test_models_without_a_classifier_are_refused(made):
    with pytest.raises(UserError, match=f"{made.__name__} has no classifier"):
        explain(tiny(made), images())


def test_a_classifier_without_labels_is_refused():
    with pytest.raises(UserError, match="has no classifier"):
        explain(tiny(VisionTransformerForImageClassification, num_labels=0), images())


def test_models_of_other_libraries_are_sent_to_convert():
    from transformers import ViTConfig, ViTForImageClassification

    sizes: Any = {
        "num_labels": 5,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 48,
    }
    stock = ViTForImageClassification(ViTConfig(image_size=32, patch_size=8, **sizes))
    with pytest.raises(UserError, match="ViTForImageClassification has no blocks of this package.*vit-hf convert"):
        explain(stock, images())


def test_tokens_that_lie_in_no_grid_are_refused():
    model = tiny(VisionTransformerForImageClassification)
    with pytest.raises(UserError, match="no place for each patch"):
        layout_of(model, images(), torch.zeros(2, 7, 32))
    with pytest.raises(UserError, match="no place for each patch"):
        layout_of(model, images(), torch.zeros(2, 17))
