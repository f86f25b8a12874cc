"""Every family compiles as one graph, without a break, and compiled it computes the same."""

import pytest
import torch
from gpu.small_models import FAMILIES, inputs_of, model_of, off_by_most

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
