"""Kernels for GPUs, run by Triton's interpreter on a CPU and compiled for cards that are not there, against the plain
forms.

The interpreter knows no bfloat16: its arithmetic is that of float16 here, and its code is compiled.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from gpu.small_models import gradients, inputs_of, model_of, off_by_norm
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from vit_hf.kernels import groups

if sys.platform != "linux":
    pytest.skip("Triton is made for Linux alone", allow_module_level=True)
from vit_hf.kernels import group_attention

COMPILE = Path(__file__).with_name("compile_kernels.py")

CLOSE = {torch.float32: 1e-6, torch.float16: 1e-3}
ALLOWED = 2.0  # times what the plain form is off by in half precision


def written_out(parts: Tensor, bias: Tensor | None, mask: Tensor | None, order: Tensor, scaling: float) -> Tensor:
    """b (g m) three heads e -> b (g m) heads e, by a loop over groups"""
    mixed = torch.empty_like(parts[:, :, 0])
    for number, tokens in enumerate(order):
        query, key, value = parts[:, tokens].permute(2, 0, 3, 1, 4)  # b heads m e
        scores = query @ key.transpose(-1, -2) * scaling
        scores = scores if bias is None else scores + bias
        scores = scores if mask is None else scores + mask[number]
        mixed[:, tokens] = (scores.softmax(dim=-1) @ value).transpose(1, 2)
    return mixed


# A failure is made smaller for minutes otherwise, at the interpreter's pace.
@settings(max_examples=15, phases=[phase for phase in Phase if phase is not Phase.shrink])
@given(
    images=st.integers(1, 5),
    count=st.integers(1, 3),
    members=st.sampled_from([1, 5, 16, 17, 49, 64]),
    heads=st.integers(1, 2),
    width=st.sampled_from([16, 32]),
    programs=st.sampled_from([1, 5, 4096]),
    dtype=st.sampled_from([torch.float32, torch.float16]),
    ordered=st.booleans(),
    biased=st.booleans(),
    masked=st.booleans(),
    seed=st.integers(0, 99),
)
def test_it_finds_what_attention_group_by_group_finds_and_its_gradients(
    images, count, members, heads, width, programs, dtype, ordered, biased, masked, seed
):
    torch.manual_seed(seed)
    parts = torch.randn(images, count * members, 3, heads, width).to(dtype).requires_grad_()
    bias = torch.randn(heads, members, members, requires_grad=True) if biased else None
    mask = None
    if masked:
        hidden = torch.rand(count, members, members) < 0.4
        hidden.diagonal(dim1=1, dim2=2).fill_(False)
        mask = hidden.to(dtype) * torch.finfo(dtype).min
    order = torch.randperm(count * members) if ordered else torch.arange(count * members)
    towards = torch.randn(images, count * members, heads, width).to(dtype)
    learned = [tensor for tensor in (parts, bias) if tensor is not None]
    exact = [tensor.detach().double().requires_grad_() for tensor in learned]
    expected = written_out(exact[0], exact[1] if biased else None, mask, order.view(count, members), width**-0.5)
    expected.backward(towards.double())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(group_attention, "PROGRAMS", programs)
        terms = (bias, mask, order if ordered else None)
        found = group_attention.attention_in_groups(parts, *terms, members, width**-0.5)
        found.backward(towards)

    assert off_by_norm(found, expected) < CLOSE[dtype]
    for tensor, wanted in zip(learned, exact, strict=True):
        if wanted.grad.norm() > 1e-9:  # a single token sees itself, whatever the scores
            assert off_by_norm(tensor.grad, wanted.grad) < CLOSE[dtype]


def test_torch_finds_nothing_wrong_with_the_operator():
    parts, bias = torch.randn(2, 8, 3, 2, 16, requires_grad=True), torch.randn(2, 4, 4, requires_grad=True)
    order = torch.randperm(8)
    torch.library.opcheck(group_attention.attention_in_groups, (parts, bias, torch.zeros(2, 4, 4), order, 4, 0.25))
    torch.library.opcheck(group_attention.attention_in_groups, (parts, None, None, None, 4, 0.25))


def test_its_operations_are_counted_as_those_of_torch_s_own_attention():
    parts = torch.randn(2, 8, 3, 2, 16, requires_grad=True)
    with FlopCounterMode(display=False) as counter:
        group_attention.attention_in_groups(parts, None, None, None, 8, 0.25).sum().backward()
    query, key, value = parts.detach().transpose(1, 3).unbind(2)  # b heads n e
    with FlopCounterMode(display=False) as forward, sdpa_kernel(SDPBackend.MATH):
        functional.scaled_dot_product_attention(query, key, value)
    # Backward makes scores anew, and two products for each of the two.
    assert counter.get_total_flops() == forward.get_total_flops() * (1 + 5 / 2)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """As if models were on a GPU: the members of the groups that the kernel was called for."""
    found: list[int] = []
    kernel = group_attention.attention_in_groups

    def counted(parts, bias, mask, order, members, scaling):
        found.append(members)
        return kernel(parts, bias, mask, order, members, scaling)

    monkeypatch.setattr(groups, "HAS_TRITON", True)
    monkeypatch.setattr(groups, "has_kernel", lambda tokens: True)
    monkeypatch.setattr(group_attention, "attention_in_groups", counted)
    return found


def found_by(model: Any, inputs: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
    with torch.no_grad():
        logits = model.eval()(inputs["pixel_values"]).logits
    return logits, gradients(model.train(), inputs)


@pytest.mark.parametrize(
    ("kind", "fields", "size", "members"),
    [
        ("swin", {}, (56, 56), 49),
        ("swin", {}, (52, 60), 49),  # windows that are padded
        ("swin", {"mask_padding": True}, (52, 60), 49),
        ("swin_v2", {}, (56, 56), 49),
        ("timesformer", {}, (32, 32), 64),  # 16 places of 4 frames
        ("timesformer", {"qk_norm": True, "image_size": 40}, (40, 40), 20),  # 5 of the 25 places
    ],
)
def test_models_find_the_same_with_and_without_it(calls: list[int], kind: str, fields: dict, size, members: int):
    model = model_of(kind, **fields).half()
    inputs = inputs_of(model, 2)
    frames = inputs["pixel_values"].shape[1:-3]
    inputs["pixel_values"] = torch.randn(2, *frames, 3, *size).half()
    model.set_attn_implementation("eager")
    plain = found_by(model, inputs)
    assert not calls
    exact = found_by(model.double(), inputs | {"pixel_values": inputs["pixel_values"].double()})
    model.half().set_attn_implementation("sdpa")
    logits, slopes = found_by(model, inputs)
    blocks = sum(model.config.depths) if kind.startswith("swin") else model.config.num_hidden_layers
    assert calls == [members] * 2 * blocks

    assert off_by_norm(logits, exact[0]) < 2e-3 + ALLOWED * off_by_norm(plain[0], exact[0])
    for name, slope in slopes.items():
        if exact[1][name].norm() > 1e-9:  # that of a bias of all keys is 0
            allowed = 2e-3 + ALLOWED * off_by_norm(plain[1][name], exact[1][name])
            assert off_by_norm(slope, exact[1][name]) < allowed, name


@pytest.mark.usefixtures("calls")
@pytest.mark.parametrize("kind", ["swin", "timesformer"])
def test_a_compiler_finds_one_graph_and_an_export_takes_nothing_of_it_along(kind: str):
    model = model_of(kind).half()
    pixels = inputs_of(model, 2)["pixel_values"].half()
    with torch.no_grad():
        compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
        assert off_by_norm(compiled(pixels).logits, model(pixels).logits) < 1e-3
        program = torch.export.export(model, (pixels,))
    assert "vit_hf" not in {getattr(node.target, "namespace", None) for node in program.graph.nodes}


@pytest.fixture
def untried(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if this CPU were a new GPU."""
    monkeypatch.setattr(groups, "WORKS", {})
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))


@pytest.mark.usefixtures("untried")
def test_it_is_tried_once_on_a_device_also_while_a_graph_is_made():
    before = torch.get_rng_state()

    def ask(pixels: Tensor) -> Tensor:
        return pixels + groups.works_on(pixels.device)

    with torch.inference_mode():
        assert torch.compile(ask, fullgraph=True, backend="eager")(torch.zeros(1)) == 1
    assert {device.type: works for device, works in groups.WORKS.items()} == {"cpu": True}
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.usefixtures("untried")
@pytest.mark.parametrize("found", [RuntimeError("Failed to find C compiler"), 1.1, float("nan")])
def test_where_it_fails_or_is_wrong_a_warning_says_so_once_and_torch_s_kernels_serve(found, monkeypatch):
    kernel = group_attention.attention_in_groups

    def broken(*given):
        if isinstance(found, Exception):
            raise found
        return kernel(*given) * found

    monkeypatch.setattr(group_attention, "attention_in_groups", broken)
    with pytest.warns(
        UserWarning, match="torch's own kernels, which are slower: (Failed to find C|the kernel's)"
    ) as said:
        answers = [groups.works_on(torch.device("cpu")) for _ in range(2)]
    assert answers == [False, False]
    assert len(said) == 1


def test_it_compiles_for_cards_and_fits_their_processors():
    outside = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    done = subprocess.run([sys.executable, COMPILE], env=outside, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    compiled = [line.split() for line in done.stdout.splitlines()]
    assert len(compiled) == 2 * 2 * 2 * 3, done.stdout  # kernels, dtypes, widths of heads, cards
    for *what, shared in compiled:
        assert int(shared) <= 99 * 1024, f"{what}: more than a program has on some cards since 2020"
