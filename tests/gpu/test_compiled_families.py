"""Every family compiles as one graph, without a break, and compiled it computes the same."""

import pytest
import torch
from gpu.small_models import FAMILIES, inputs_of, model_of, off_by_most
from torch import Tensor
from torch._dynamo.testing import CompileCounter

EXACT = 1e-4


@pytest.mark.parametrize("kind", FAMILIES)
def test_a_compiled_family_is_one_graph_with_the_logits_of_the_plain_one(device: torch.device, kind: str):
    model = model_of(kind, device)
    compiled = torch.compile(model, fullgraph=True)
    with torch.no_grad():
        for seed in (1, 2):
            pixels = inputs_of(model, seed=seed, device=device)["pixel_values"]
            off = off_by_most(compiled(pixels).logits, model(pixels).logits)
            assert off < EXACT, f"{kind}: compiled logits are off by {off:.2e} of the largest"


def batches(model, sizes: tuple[int, ...], device: torch.device) -> list[Tensor]:
    return [inputs_of(model, size, device=device)["pixel_values"] for size in sizes]


@pytest.mark.parametrize("kind", FAMILIES)
def test_a_family_is_traced_twice_at_most_however_batches_change(device: torch.device, kind: str):
    """For the first size, and for the second as for any. Traced alone: what compiles a graph has no say in it."""
    model, counter = model_of(kind, device), CompileCounter()
    traced, counts = torch.compile(model, backend=counter, fullgraph=True), []
    for pixels in batches(model, (4, 6, 3, 9, 4, 5), device):
        with torch.no_grad():
            traced(pixels)
        counts.append(counter.frame_count)
    assert counts[0] == 1, counts
    assert max(counts) <= 2, f"{kind}: graphs after each batch: {counts}"


@pytest.mark.parametrize("kind", FAMILIES)
def test_a_family_told_that_batches_change_is_traced_once(device: torch.device, kind: str):
    model, counter = model_of(kind, device), CompileCounter()
    traced, counts = torch.compile(model, backend=counter, fullgraph=True), []
    first, *others = batches(model, (4, 6, 3, 9), device)
    torch._dynamo.mark_dynamic(first, 0)
    for pixels in (first, *others):
        with torch.no_grad():
            traced(pixels)
        counts.append(counter.frame_count)
    assert counts == [1] * 4, f"{kind}: graphs after each batch: {counts}"
