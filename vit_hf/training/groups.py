"""Groups of parameters: which of them decay, and how fast those far from the head learn."""

from collections.abc import Collection
from typing import Any

from torch import nn

from ..models.blocks import Block


def depths_of(model: nn.Module) -> dict[str, int]:
    """How deep each parameter lies: 0 in the embeddings, i + 1 in block i, one more behind the last.

    What lies between blocks, as the merging of patches does, is as deep as the block that follows. Adapters within a
    block count as the block. Source: BEiT (arXiv:2106.08254), released code.
    """
    blocks = [f"{name}." for name, module in model.named_modules() if isinstance(module, Block)]
    depths, reached = {}, 0
    for name, _ in model.named_parameters():
        within = next((number for number, block in enumerate(blocks) if name.startswith(block)), None)
        reached = reached if within is None else within + 1
        depths[name] = reached + (within is None and reached > 0)
    return depths


def parameter_groups(
    model: nn.Module, decaying: Collection[str], *, learning_rate: float, weight_decay: float, layer_decay: float
) -> list[dict[str, Any]]:
    """Those that train, from the head, whose learning rate is the whole one, down to the embeddings.

    A layer learns at `layer_decay` times the rate of the one above it; only what is named in `decaying` decays.
    """
    named = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    if not named:
        raise ValueError("Nothing is left to train: every parameter is frozen. Freeze fewer with optimisation.freeze.")
    decaying = set(decaying)
    depths = depths_of(model)
    deepest = max(depths.values())
    groups: dict[tuple[int, bool], dict[str, Any]] = {}
    for name, parameter in named:
        below = deepest - depths[name] if layer_decay < 1 else 0
        key = (below, name not in decaying)
        group = groups.setdefault(
            key,
            {
                "params": [],
                "lr": learning_rate * layer_decay**below,
                "weight_decay": weight_decay if name in decaying else 0.0,
            },
        )
        group["params"].append(parameter)
    return [groups[key] for key in sorted(groups)]
