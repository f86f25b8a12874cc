"""Every attention backend that loads finds what attention written out finds, forward and backward."""

import warnings
from importlib.util import find_spec
from typing import Any

import pytest
import torch
from gpu.small_models import gradients, inputs_of, model_of, off_by_norm
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from vit_hf.kernels import groups
from vit_hf.models.fast_paths import plain_forms

FORWARD, BACKWARD = 2e-2, 5e-2
KINDS = ("vit", "vit_rotary", "vit_relative_bias", "swin", "swin_v2", "timesformer", "timesformer_space_only")
KERNELS = ("FLASH_ATTENTION", "EFFICIENT_ATTENTION", "MATH", "CUDNN_ATTENTION")
REFUSALS = ("No available kernel", "No viable backend", "cudnn", "cuDNN", "execution plan")
MUST_RUN = ("FLASH_ATTENTION", "EFFICIENT_ATTENTION", "MATH")  # of a plain ViT, on a CUDA device


def loaded(model: Any, backend: str) -> Any:
    """The model with this backend, or a skip that says why it does not load."""
    try:
        model.set_attn_implementation(backend)
    except (ImportError, ValueError) as error:
        pytest.skip(f"{backend} does not load: {error}")
    return model


def written_out(kind: str, device: torch.device) -> tuple[Tensor, Tensor]:
    """Logits and the gradient of the first projection to queries, keys and values, in float32."""
    return found_by(loaded(model_of(kind, device), "eager"), device, torch.float32)


def found_by(model: Any, device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    inputs = inputs_of(model, device=device)
    inputs["pixel_values"] = inputs["pixel_values"].to(dtype)
    model = model.to(dtype)
    with torch.no_grad():
        logits = model(inputs["pixel_values"]).logits
    own = gradients(model.train(), inputs)
    return logits, own[next(name for name in own if name.endswith("attention.qkv.weight"))]


def assert_agrees(what: str, found: tuple[Tensor, Tensor], expected: tuple[Tensor, Tensor]) -> None:
    forward, backward = (off_by_norm(own, wanted) for own, wanted in zip(found, expected, strict=True))
    said = f"{what}: logits are off by {forward:.2e} in norm, gradients by {backward:.2e}"
    assert forward < FORWARD, said
    assert backward < BACKWARD, said


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bf16", "fp16"])
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("kind", KINDS)
def test_each_of_sdpa_s_kernels_agrees_with_attention_written_out(
    device: torch.device, kind: str, kernel: str, dtype: torch.dtype
):
    expected = written_out(kind, device)
    model = loaded(model_of(kind, device), "sdpa")
    refusal: RuntimeError | None = None
    # In plain forms, because those of groups have a kernel of ours.
    with sdpa_kernel(SDPBackend.__members__[kernel]), warnings.catch_warnings(record=True) as reasons, plain_forms():
        warnings.simplefilter("always")
        try:
            found = found_by(model, device, dtype)
        except RuntimeError as error:
            if not any(words in str(error) for words in REFUSALS):
                raise
            refusal = error
    if refusal is not None:
        why = " ".join(dict.fromkeys(str(reason.message).partition("(Triggered")[0].strip() for reason in reasons))
        said = f"{kernel} takes no {kind} in {dtype}: {' '.join((why or str(refusal)).split())}"
        assert not (device.type == "cuda" and kind == "vit" and kernel in MUST_RUN), said
        pytest.skip(said)
    assert_agrees(f"{kind}, {kernel}, {dtype}", found, expected)


@pytest.mark.parametrize("kind", ["vit", "timesformer"])
def test_flash_attention_2_agrees_with_attention_written_out(card: torch.device, kind: str):
    if find_spec("flash_attn") is None:
        pytest.skip("flash_attn is not installed")
    model = loaded(model_of(kind, card), "flash_attention_2")
    assert_agrees(f"{kind}, flash_attention_2", found_by(model, card, torch.bfloat16), written_out(kind, card))


@pytest.mark.parametrize("kind", ["vit"])
def test_flex_attention_agrees_with_attention_written_out(card: torch.device, kind: str):
    """It compiles a kernel of its own, which takes a while, and on a CPU does not learn."""
    model = loaded(model_of(kind, card), "flex_attention")
    assert_agrees(f"{kind}, flex_attention", found_by(model, card, torch.bfloat16), written_out(kind, card))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bf16", "fp16"])
@pytest.mark.parametrize("kind", ["swin", "swin_v2", "timesformer"])
def test_the_kernel_of_groups_agrees_with_attention_written_out_to_the_same_bits_each_time(
    card: torch.device, kind: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
):
    from vit_hf.kernels import group_attention

    if torch.cuda.get_device_capability(card) < (8, 0):
        pytest.skip("Triton makes no code for this card")
    calls, kernel = [], group_attention.attention_in_groups
    monkeypatch.setattr(group_attention, "attention_in_groups", lambda *given: calls.append(1) or kernel(*given))
    assert groups.HAS_TRITON
    first, second = (found_by(loaded(model_of(kind, card), "sdpa"), card, dtype) for _ in range(2))
    assert calls
    assert_agrees(f"{kind}, in groups, {dtype}", first, written_out(kind, card))
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))
