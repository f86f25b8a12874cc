"""Groups of parameters: which of them decay, and how fast those far from the head learn."""

from collections.abc import Collection, Sequence
from fnmatch import fnmatch
from importlib import import_module
from typing import Any

import transformers
from torch import nn

from ..errors import UserError
from ..families import Family, family_of_model


def depths_of(model: nn.Module) -> dict[str, int]:
    """How deep each parameter lies: 0 in the embeddings, i + 1 in layer i, one more behind the last.

    What lies between layers, as the merging of patches does, is as deep as the layer that follows. Adapters within a
    layer count as the layer. Source: BEiT (arXiv:2106.08254), released code.
    """
    family = family_of_model(model) or Family()
    layers = [f"{name}." for name in family.layer_names(model)]
    depths, reached = {}, 0
    for name, _ in model.named_parameters():
        within = next((number for number, layer in enumerate(layers) if name.startswith(layer)), None)
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
        raise UserError("Nothing is left to train: every parameter is frozen. Freeze fewer with optimization.freeze.")
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


FROM_TIMM = {"lamb": "Lamb", "lion": "Lion"}


def timm_optimizer(word: str, arguments: transformers.TrainingArguments) -> tuple[Any, dict[str, Any]]:
    """-> class and keywords. LAMB's own clipping is off, because the Trainer clips with max_grad_norm already."""
    try:
        optimizers = import_module("timm.optim")
    except ImportError as error:
        raise UserError(
            f"optimization.optimizer: {word} is timm's, which cannot be imported ({error}); pip install timm, "
            "or leave the field out for AdamW."
        ) from error
    keywords: dict[str, Any] = {"lr": arguments.learning_rate}
    if word == "lamb":
        keywords |= {
            "betas": (arguments.adam_beta1, arguments.adam_beta2),
            "eps": arguments.adam_epsilon,
            "max_grad_norm": None,
        }
    return getattr(optimizers, FROM_TIMM[word]), keywords


def head_parameters(model: nn.Module) -> list[str]:
    """Names of what lies outside the trunk (`vit.` and the like): classifier or decoder."""
    trunk = f"{getattr(model, 'base_model_prefix', '')}."
    return [name for name, _ in model.named_parameters() if not name.startswith(trunk)]


def frozen_names(model: nn.Module, freeze: str | Sequence[str]) -> list[str]:
    """The parameters that a word or patterns freeze.

    Raises: UserError for a pattern that no parameter matches.
    """
    names = [name for name, _ in model.named_parameters()]
    if freeze == "none":
        return []
    if isinstance(freeze, str):
        head = set(head_parameters(model))
        return [name for name in names if name not in head]
    for pattern in freeze:
        if not any(fnmatch(name, pattern) for name in names):
            raise UserError(
                f"optimization.freeze: no parameter matches {pattern!r}; there are {names[0]}, "
                f"{names[len(names) // 2]}, {names[-1]} and {len(names) - 3} more."
            )
    return [name for name in names if any(fnmatch(name, pattern) for pattern in freeze)]


def freeze_parameters(model: nn.Module, freeze: str | Sequence[str]) -> None:
    frozen = set(frozen_names(model, freeze))
    for name, parameter in model.named_parameters():
        if name in frozen:
            parameter.requires_grad_(False)


def frozen_modules(model: nn.Module) -> list[nn.Module]:
    """The largest parts of which nothing learns."""
    found: list[nn.Module] = []

    def look(module: nn.Module) -> None:
        parameters = [parameter.requires_grad for parameter in module.parameters()]
        if parameters and not any(parameters):
            found.append(module)
            return
        for child in module.children():
            look(child)

    look(model)
    return found


def forget_trunk_gradients(model: nn.Module) -> None:
    """An optimizer passes over parameters without a gradient; so they may learn later without being added to it."""
    head = set(head_parameters(model))
    for name, parameter in model.named_parameters():
        if name not in head:
            parameter.grad = None
