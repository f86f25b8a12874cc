"""The weights of other Vision Transformers under our names: a table for each library, with a line for every key."""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from vit_hf.models.patches import conv_to_linear


def same(tensor: Tensor) -> Tensor:
    return tensor


def stack(*tensors: Tensor) -> Tensor:
    return torch.cat(tensors)


def stack_without_key(query: Tensor, value: Tensor) -> Tensor:
    return torch.cat([query, torch.zeros_like(query), value])


def as_batch_of_one(tensor: Tensor) -> Tensor:
    return tensor[None]


# A strided convolution's kernel, for the word in our config.
KERNEL = {"conv": same, "linear": conv_to_linear}


class Pair(NamedTuple):
    """Their keys, and the key of ours that is made of them; `{layer}` stands for a number.

    Without `ours` the keys are left out on purpose; without `theirs` ours is the constant that `change` makes.
    """

    theirs: tuple[str, ...]
    ours: str | None
    change: Callable[..., Tensor] = same


Table = list[Pair]


def pair(theirs: str | tuple[str, ...], ours: str | None, change: Callable[..., Tensor] = same) -> Pair:
    return Pair((theirs,) if isinstance(theirs, str) else theirs, ours, change)


def weight_and_bias(theirs: str, ours: str) -> Table:
    return [pair(f"{theirs}.{part}", f"{ours}.{part}") for part in ("weight", "bias")]


def constant(ours: str, value: Tensor) -> Pair:
    return Pair((), ours, lambda: value)


def query_key_value(theirs: str, ours: str, *, key_bias: bool = True) -> Table:
    """Three Linears (`theirs` with `{part}` for q, k and v) as our one, whose bias of keys may have none of theirs."""
    query, key, value = (theirs.replace("{part}", part) for part in "qkv")
    biases = (query, key, value) if key_bias else (query, value)
    return [
        pair(tuple(f"{part}.weight" for part in (query, key, value)), f"{ours}.weight", stack),
        pair(tuple(f"{part}.bias" for part in biases), f"{ours}.bias", stack if key_bias else stack_without_key),
    ]


def under(table: Table, *, theirs: str = "", ours: str = "") -> Table:
    """The same pairs for modules that lie deeper."""
    return [
        Pair(tuple(f"{theirs}{key}" for key in keys), key and f"{ours}{key}", change) for keys, key, change in table
    ]


def written_out(table: Table, layers: int) -> Iterator[Pair]:
    for keys, key, change in table:
        for_each_layer = any("{layer}" in name for name in (*keys, key or ""))
        for layer in range(layers) if for_each_layer else [0]:
            number = str(layer)
            ours = key and key.replace("{layer}", number)
            yield Pair(tuple(name.replace("{layer}", number) for name in keys), ours, change)


def translate(state: Mapping[str, Tensor], table: Table, layers: int) -> dict[str, Tensor]:
    """Their tensors under our names. Raises: KeyError for a key that the table does not cover."""
    used, translated = set(), {}
    for keys, ours, change in written_out(table, layers):
        found = [key for key in keys if key in state]
        if found != list(keys):
            continue
        used.update(keys)
        if ours is not None:
            translated[ours] = change(*(state[key] for key in keys))
    if left := sorted(set(state) - used):
        raise KeyError(f"No pair covers {left}; add one, or one that drops them on purpose.")
    return translated


def copy_weights(theirs: nn.Module, ours: nn.Module, table: Table) -> None:
    """Raises: KeyError for a key of theirs without a pair, RuntimeError for one of ours that none of theirs fills."""
    ours.load_state_dict(translate(theirs.state_dict(), table, ours.config.num_hidden_layers))
