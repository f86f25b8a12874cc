"""What a model knows of what it is to predict: the problem, and of numbers the units in which it says them."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..errors import UserError
from .problem import Problem

HEADS = ("classifier", "distillation_classifier")


def refuse_constant_targets(problem: Problem) -> None:
    """Raises: UserError for a number that is the same in every training image."""
    for name, mean, std in zip(problem.names, problem.target_mean or (), problem.target_std or (), strict=False):
        if not std:
            raise UserError(
                f"{name!r} is {mean:g} in every training image, so that there is nothing to learn of it; leave it out, "
                "or bring images of which it is another."
            )


def settle_targets(model: Any, problem: Problem) -> None:
    """Note them in the model's configuration, by which its loss, its answers and everybody who loads it go.

    Numbers are learned in standard deviations of the training images from their mean, whatever these are. A head that
    says such numbers already goes on to say the same.

    Raises: UserError for a number that is the same in every training image.
    """
    refuse_constant_targets(problem)
    config = model.config
    if problem.problem_type != (config.problem_type or "single_label_classification"):
        config.problem_type = problem.problem_type
    if not hasattr(config, "target_std"):
        return
    if problem.problem_type != "regression":
        config.target_mean = config.target_std = None
    elif problem.target_mean is not None and problem.target_std is not None:
        mean, std = list(problem.target_mean), list(problem.target_std)
        if config.target_std is not None and (list(config.target_mean), list(config.target_std)) != (mean, std):
            restate(model, mean, std)
        config.target_mean, config.target_std = mean, std


@torch.no_grad()
def restate(model: Any, mean: Sequence[float], std: Sequence[float]) -> None:
    """Let the heads say the same numbers, of which `mean` and `std` are now the units."""
    old_mean, old_std, new_mean, new_std = (
        torch.tensor(values, dtype=torch.float64)
        for values in (model.config.target_mean, model.config.target_std, mean, std)
    )
    for name in HEADS:
        if (head := getattr(model, name, None)) is not None:
            weight, bias = head.weight.double().cpu(), head.bias.double().cpu()
            set_to(head.weight, weight * (old_std / new_std)[:, None])
            set_to(head.bias, (bias * old_std + old_mean - new_mean) / new_std)


def set_to(parameter: Tensor, values: Tensor) -> None:
    parameter.copy_(values.to(parameter.device, parameter.dtype))
