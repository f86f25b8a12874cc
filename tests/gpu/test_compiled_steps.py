"""Compiled training steps, compiled batches of changing size, and CUDA graphs."""

from typing import Any

import pytest
import torch
from gpu.small_models import inputs_of, model_of, off_by_most
from torch._dynamo.utils import counters

EXACT = 1e-4
STEPS = 4


def losses(model: Any, run: Any, device: torch.device) -> torch.Tensor:
    """Of a few steps of training, each on other images."""
    optimizer, found = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9), []
    for step in range(STEPS):
        loss = run(**inputs_of(model, seed=step, device=device)).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        found.append(loss.detach())
    return torch.stack(found)


@pytest.mark.parametrize("kind", ["vit", "swin"])
def test_a_compiled_training_step_learns_what_a_plain_one_does(device: torch.device, kind: str):
    plain, model = (model_of(kind, device, num_labels=10).train() for _ in range(2))
    compiled = torch.compile(model, fullgraph=True)
    expected, found = losses(plain, plain, device), losses(model, compiled, device)
    assert expected[0] != expected[-1]
    off = off_by_most(found, expected)
    assert off < EXACT, f"{kind}: losses {found.tolist()} for {expected.tolist()}, off by {off:.2e}"


def test_compiled_kernels_serve_batches_of_any_size_without_another_compilation(device: torch.device):
    model = model_of("vit", device)
    compiled = torch.compile(model, fullgraph=True)
    first, *others = (inputs_of(model, size, device=device)["pixel_values"] for size in (4, 7, 2, 16))
    torch._dynamo.mark_dynamic(first, 0)
    with torch.no_grad():
        compiled(first)
        with torch._dynamo.config.patch(error_on_recompile=True):
            for pixels in others:
                off = off_by_most(compiled(pixels).logits, model(pixels).logits)
                assert off < EXACT, f"{len(pixels)} images: compiled logits are off by {off:.2e} of the largest"


@pytest.mark.parametrize("batch", [1, 8])
def test_cuda_graphs_replayed_give_the_logits_of_each_input(card: torch.device, batch: int):
    model = model_of("vit", card)
    counters.clear()
    compiled = torch.compile(model, mode="reduce-overhead", fullgraph=True)
    with torch.no_grad():
        for seed in range(5):  # the first warms up, the second records, the others replay
            pixels = inputs_of(model, batch, seed=seed, device=card)["pixel_values"]
            torch.compiler.cudagraph_mark_step_begin()
            found = compiled(pixels).logits.clone()
            off = off_by_most(found, model(pixels).logits)
            assert off < EXACT, f"input {seed}: logits of the graph are off by {off:.2e} of the largest"
    assert not counters["inductor"]["cudagraph_skips"], "inductor made no CUDA graph of the model"
