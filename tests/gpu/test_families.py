"""Every family computes on the device what it computes on the CPU, in float32 and in bfloat16."""

import pytest
import torch
from gpu.small_models import KINDS, gradients, inputs_of, model_of, off_by_most, off_by_norm

EXACT, COARSE = 1e-4, 2e-2


@pytest.mark.parametrize("kind", KINDS)
def test_logits_in_float32_are_those_of_the_cpu_in_double_precision(device: torch.device, kind: str):
    model = model_of(kind)
    inputs = inputs_of(model)
    with torch.no_grad():
        expected = model.double()(inputs["pixel_values"].double()).logits
        found = model.float().to(device)(inputs["pixel_values"].to(device)).logits
    assert found.dtype == torch.float32
    off = off_by_most(found, expected)
    assert off < EXACT, f"{kind}: logits are off by {off:.2e} of the largest"


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_in_float32_are_those_of_the_cpu_in_double_precision(device: torch.device, kind: str):
    model = model_of(kind).train()
    inputs = inputs_of(model)
    expected = gradients(model.double(), {**inputs, "pixel_values": inputs["pixel_values"].double()})
    found = gradients(model.float().to(device), inputs_of(model, device=device))
    largest = max(gradient.abs().max().item() for gradient in expected.values())
    # Some are zero but for rounding, as those of keys' biases are: a share of their own size would say nothing.
    off = {
        name: (found[name].cpu().double() - gradient).abs().max().item()
        / max(gradient.abs().max().item(), 0.1 * largest)
        for name, gradient in expected.items()
    }
    worst = max(off, key=lambda name: off[name])
    assert off[worst] < EXACT, f"{kind}: the gradient of {worst} is off by {off[worst]:.2e} of its largest"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", ["autocast", "weights"])
def test_logits_in_bfloat16_are_those_in_float32_by_relative_norm(device: torch.device, kind: str, how: str):
    model = model_of(kind, device)
    pixels = inputs_of(model, 16, device=device)["pixel_values"]
    with torch.no_grad():
        expected = model(pixels).logits
        if how == "autocast":
            with torch.autocast(device.type, torch.bfloat16):
                found = model(pixels).logits
        else:
            found = model.bfloat16()(pixels.bfloat16()).logits
    assert found.dtype == torch.bfloat16
    off = off_by_norm(found, expected)
    assert off < COARSE, f"{kind}, {how}: logits are off by {off:.2e} in norm"
