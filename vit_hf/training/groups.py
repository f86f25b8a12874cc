"""Groups of parameters: which of them decay, and how fast those far from the head learn."""

import re
from collections.abc import Collection
from typing import Any

from torch import nn


def layer_of(name: str, layers: int) -> int:
    """How deep a parameter lies: 0 in the embeddings, i + 1 in layer i, `layers` + 1 behind them.

    Adapters within a layer count as the layer. Source: BEiT (arXiv:2106.08254), released code.
    """
    if found := re.search(r"(?:^|\.)layers\.(\d+)\.", name):
        return int(found[1]) + 1
    return 0 if "embeddings" in name.split(".") else layers + 1


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
    layers = max((layer_of(name, -1) for name, _ in model.named_parameters()), default=0)
    groups: dict[tuple[int, bool], dict[str, Any]] = {}
    for name, parameter in named:
        below = layers + 1 - layer_of(name, layers) if layer_decay < 1 else 0
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
