"""Numbers that a model learns in standard deviations from their mean, and says in the units of its data."""

from collections.abc import Sequence

import torch
from torch import Tensor


def in_units(numbers: Tensor, config) -> Tensor:
    """b targets -> b targets: from `config.target_std` and `config.target_mean`, where they are known.

    In single precision at least: in bfloat16 the year after 2016 is 2024, and 70,000 is infinite in half precision.
    """
    if config.target_std is None:
        return numbers
    numbers = numbers.to(torch.promote_types(numbers.dtype, torch.float32))
    return numbers * numbers.new_tensor(config.target_std) + numbers.new_tensor(config.target_mean)


def errors_in_std(said: Tensor, true: Tensor, std: Sequence[float | int] | None) -> Tensor:
    """b targets, b targets -> b targets: how far off, in standard deviations of each target where they are known"""
    errors = said - true
    return errors if std is None else errors / errors.new_tensor(std)
