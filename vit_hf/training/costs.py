"""What a model costs: its arithmetic, its memory, and how much arithmetic this machine does in a second."""

import time
from functools import cache
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ..families import family_of


def twin_without_storage(model: Any) -> Any:
    """A model of the same config on the meta device, with the same parameters frozen, attention written out.

    Torch counts no fused attention of a CPU. Adapters are left out: they are a few percent.
    """
    config = type(model.config).from_dict({**model.config.to_dict(), "attn_implementation": "eager"})
    with torch.device("meta"):
        twin = type(model)(config)
    learning = {name.replace(".base_layer", ""): own.requires_grad for name, own in model.named_parameters()}
    for name, parameter in twin.named_parameters():
        parameter.requires_grad_(learning.get(name, True))
    return twin.train()


def blank_inputs(model: Any, batch: int) -> dict[str, torch.Tensor]:
    """What the model's family takes, of the configured size."""
    return family_of(model.config).blank_inputs(model, batch)


def whole_twin(model: Any) -> Any:
    """As `twin_without_storage`; it leaves out no token of any layer, since all of them are asked for."""
    twin = twin_without_storage(model)
    twin.config.output_hidden_states = True
    return twin


def sum_of_outputs(outputs: Any) -> torch.Tensor:
    return (outputs.logits if "logits" in outputs else outputs.reconstruction).sum()


def forward_operations(model: Any) -> int:
    """Of one image: the matrix products, a multiplication and an addition as two, as torch counts them.

    All tokens count in all layers, as in everybody's figures, though a classifier by its class token leaves some out.
    """
    twin = whole_twin(model).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        twin(**blank_inputs(twin, 1))
    return counter.get_total_flops()


def training_operations(model: Any) -> int:
    """Of one image in a step, by the same count. Gradients of frozen weights are not computed and do not count."""
    twin = whole_twin(model)
    with FlopCounterMode(display=False) as counter:
        sum_of_outputs(twin(**blank_inputs(twin, 1))).backward()
    return counter.get_total_flops()


def activation_bytes(model: Any, batch: int) -> int:
    """What the forward pass keeps for the backward pass, without the weights. An upper bound: attention is written
    out here, and fused attention keeps less."""
    twin = twin_without_storage(model)
    weights = {tensor.untyped_storage()._cdata for tensor in twin.state_dict().values()}
    kept: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage()._cdata] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        outputs = twin(**blank_inputs(twin, batch))
        total = sum(tensor.untyped_storage().nbytes() for place, tensor in kept.items() if place not in weights)
        del outputs
    return total


def weight_bytes(model: nn.Module, *, averaged: bool) -> int:
    """Weights, the average of them, and for what trains gradients and Adam's two moments."""
    whole = sum(parameter.nbytes for parameter in model.parameters())
    training = sum(parameter.nbytes for parameter in model.parameters() if parameter.requires_grad)
    return whole * (2 if averaged else 1) + 3 * training


@cache
def product_rate(device: torch.device, dtype: torch.dtype, *, side: int = 1024, seconds: float = 0.1) -> float:
    """Operations a second of square matrix products: the best of those that fit into the given time."""
    numbers = torch.Generator().manual_seed(0)  # of its own, so that a training's random numbers stay as they were
    left, right = (torch.randn(side, side, generator=numbers).to(device, dtype) for _ in range(2))
    end, best = time.perf_counter() + seconds, 0.0
    torch.mm(left, right)
    while time.perf_counter() < end or not best:
        wait(device)
        start = time.perf_counter()
        for _ in range(4):
            torch.mm(left, right)
        wait(device)
        best = max(best, 4 * 2 * side**3 / (time.perf_counter() - start))
    return best


def wait(device: torch.device) -> None:
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def peak_memory(device: torch.device) -> int:
    """Bytes: of tensors on an accelerator, of the whole process on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    import resource
    import sys

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
