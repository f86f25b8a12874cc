"""Which parameters learn: all, the head alone, or all but those that match a pattern."""

from collections.abc import Sequence
from fnmatch import fnmatch

from torch import nn


def head_parameters(model: nn.Module) -> list[str]:
    """Names of what lies outside the trunk (`vit.` and the like): classifier or decoder."""
    trunk = f"{getattr(model, 'base_model_prefix', '')}."
    return [name for name, _ in model.named_parameters() if not name.startswith(trunk)]


def frozen_names(model: nn.Module, freeze: str | Sequence[str]) -> list[str]:
    """The parameters that a word or patterns freeze.

    Raises: ValueError for a pattern that no parameter matches.
    """
    names = [name for name, _ in model.named_parameters()]
    if freeze == "none":
        return []
    if isinstance(freeze, str):
        head = set(head_parameters(model))
        return [name for name in names if name not in head]
    for pattern in freeze:
        if not any(fnmatch(name, pattern) for name in names):
            raise ValueError(
                f"optimisation.freeze: no parameter matches {pattern!r}; there are {names[0]}, "
                f"{names[len(names) // 2]}, {names[-1]} and {len(names) - 3} more."
            )
    return [name for name in names if any(fnmatch(name, pattern) for pattern in freeze)]


def freeze_parameters(model: nn.Module, freeze: str | Sequence[str]) -> None:
    frozen = set(frozen_names(model, freeze))
    for name, parameter in model.named_parameters():
        if name in frozen:
            parameter.requires_grad_(False)


def forget_trunk_gradients(model: nn.Module) -> None:
    """An optimizer passes over parameters without a gradient; so they may learn later without being added to it."""
    head = set(head_parameters(model))
    for name, parameter in model.named_parameters():
        if name not in head:
            parameter.grad = None
