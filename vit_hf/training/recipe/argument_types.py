"""Of which types, and how large, the arguments of a training may be: transformers takes anything, and fails later."""

import math
from enum import Enum
from os import PathLike
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from ...errors import UserError


def refuse_wrong_types(training: dict[str, Any], hints: dict[str, Any]) -> None:
    """hints: the arguments' own annotations.

    Raises: UserError for a value of another type.
    """
    for name, value in training.items():
        if not is_of(hints[name], value):
            raise UserError(
                f"training.{name}={value!r} is a {type(value).__name__}, and has to be {type_in_words(hints[name])}."
                f"{quoted_number(value)}"
            )


def is_of(hint: Any, value: Any) -> bool:
    """Whether a value, as YAML or Python gives it, is of an annotated type; a whole number is a number too."""
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin in (Union, UnionType):
        return any(is_of(one, value) for one in inner)
    if origin is Literal:
        return any(value is one or (value == one and type(value) is type(one)) for one in inner)
    if origin is list:
        return isinstance(value, list | tuple) and all(is_of(inner[0], one) for one in value)
    if origin is dict:
        return isinstance(value, dict) and all(
            is_of(inner[0], key) and is_of(inner[1], one) for key, one in value.items()
        )
    if isinstance(hint, type) and issubclass(hint, Enum):
        return isinstance(value, hint | str)  # of other words transformers itself says which there are
    if hint is float:
        return type(value) in (int, float)
    if hint is int:
        return type(value) is int
    if hint is str:
        return isinstance(value, str | PathLike)
    return isinstance(value, hint)


def type_in_words(hint: Any) -> str:
    kinds = get_args(hint) if get_origin(hint) in (Union, UnionType) else [hint]
    words = {"nothing" if kind is NoneType else "str" if is_enum(kind) else of_what(kind) for kind in kinds}
    return " or ".join(sorted(words))


def is_enum(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Enum)


def of_what(kind: Any) -> str:
    inner = [of_what(one) for one in get_args(kind) if one is not Any]
    name = getattr(get_origin(kind) or kind, "__name__", str(kind))
    return f"{name} of {' and '.join(dict.fromkeys(inner))}" if get_origin(kind) is list else name


def quoted_number(value: Any) -> str:
    try:
        number = float(value) if isinstance(value, str) else None
    except ValueError:
        return ""
    return "" if number is None else f" Write {value} without quotation marks."


# At least so much, and below that; where the argument is nothing, or -1 for nothing, it is not looked at.
LEAST = {
    **dict.fromkeys(("per_device_train_batch_size", "per_device_eval_batch_size", "gradient_accumulation_steps"), 1),
    **dict.fromkeys(("eval_accumulation_steps", "dataloader_prefetch_factor", "torch_empty_cache_steps"), 1),
    **dict.fromkeys(("learning_rate", "weight_decay", "adam_epsilon", "max_grad_norm", "warmup_steps"), 0),
    **dict.fromkeys(("num_train_epochs", "dataloader_num_workers", "seed", "data_seed", "adam_beta1", "adam_beta2"), 0),
    **dict.fromkeys(("logging_steps", "save_steps", "eval_steps"), 0),
}
BELOW = {"adam_beta1": 1, "adam_beta2": 1, "seed": 2**32, "data_seed": 2**32, "dataloader_num_workers": 4096}
MOST_INTEGER = 2**63  # of which torch counts steps


def refuse_wrong_numbers(training: dict[str, Any]) -> None:
    """Raises: UserError for numbers that are none, or out of the range of what they count."""
    for name, value in training.items():
        if not isinstance(value, int | float) or isinstance(value, bool):
            continue
        least, below = LEAST.get(name, -math.inf), BELOW.get(name, MOST_INTEGER)
        if not math.isfinite(value) or not least <= value < below:
            bounds = [f"at least {least}"] * math.isfinite(least) + [f"below {below}"] * (name in BELOW)
            raise UserError(f"training.{name}={value} has to be {', '.join(['a finite number', *bounds])}.")
