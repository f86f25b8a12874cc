"""Every family compiles as one graph, without a break, and compiled it computes the same."""

import pytest
import torch
from gpu.small_models import FAMILIES, gradients, inputs_of, model_of, off_by_most, off_by_norm

EXACT, HALF = 1e-4, 5e-2


@pytest.mark.parametrize("kind", FAMILIES)
def test_a_compiled_family_is_one_graph_with_the_logits_of_the_plain_one(device: torch.device, kind: str):
    model = model_of(kind, device)
    compiled = torch.compile(model, fullgraph=True)
    with torch.no_grad():
        for seed in (1, 2):
            pixels = inputs_of(model, seed=seed, device=device)["pixel_values"]
            off = off_by_most(compiled(pixels).logits, model(pixels).logits)
            assert off < EXACT, f"{kind}: compiled logits are off by {off:.2e} of the largest"


@pytest.mark.parametrize("kind", FAMILIES)
def test_a_compiled_family_learns_in_half_precision_what_the_plain_one_learns(device: torch.device, kind: str):
    """On a card that is where windows, and the frames of a place, have a kernel of ours."""
    model = model_of(kind, device).to(torch.bfloat16)
    inputs = inputs_of(model, device=device)
    inputs["pixel_values"] = inputs["pixel_values"].to(torch.bfloat16)
    plain = gradients(model, inputs)
    compiled = torch.compile(model, fullgraph=True)
    model.zero_grad()
    compiled(**inputs).loss.backward()
    name = next(name for name in plain if name.endswith("attention.qkv.weight"))
    off = off_by_norm(model.get_parameter(name).grad, plain[name])
    assert off < HALF, f"{kind}: the gradient of {name} is off by {off:.2e} in norm"
