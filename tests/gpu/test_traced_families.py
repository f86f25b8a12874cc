"""Every family is traced once, or twice where batches change, and never again."""

from typing import Any

import pytest
import torch
from gpu.small_models import FAMILIES, inputs_of, model_of
from torch import Tensor
from torch._dynamo.testing import CompileCounter


def batches(model: Any, sizes: tuple[int, ...], device: torch.device) -> list[Tensor]:
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
