"""The weights of another library under our names, and back: a table for each library, with a line for every key."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from ...completion.adaptation import conv_to_linear, linear_to_conv
from ...errors import UserError

Change = Callable[..., Tensor | tuple[Tensor, ...]]


def same(*tensors: Tensor) -> tuple[Tensor, ...]:
    return tensors


class Rule(NamedTuple):
    """Their keys, and the keys of ours that hold the same; `{layer}` stands for a number.

    change: their tensors -> ours, in the order of the keys; inverse: ours -> theirs.
    reason: why a key that has no partner is left out. A rule without a reason and without partners makes a constant.
    """

    theirs: tuple[str, ...]
    ours: tuple[str, ...]
    change: Change = same
    inverse: Change = same
    reason: str | None = None


Table = list[Rule]


class UncoveredKeys(UserError):
    """No rule says what becomes of these keys."""

    def __init__(self, keys: set[str]):
        super().__init__(f"No rule covers {listed(keys)}; add one, or a rule that drops them on purpose.")
        self.keys = keys


def keys(given: str | tuple[str, ...]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else given


def mapped(
    theirs: str | tuple[str, ...], ours: str | tuple[str, ...], change: Change = same, inverse: Change = same
) -> Rule:
    return Rule(keys(theirs), keys(ours), change, inverse)


def weight_and_bias(theirs: str, ours: str) -> Table:
    return [mapped(f"{theirs}.{part}", f"{ours}.{part}") for part in ("weight", "bias")]


def dropped(theirs: str | tuple[str, ...], reason: str) -> Rule:
    """Keys of theirs that have no place with us; on the way back they are not made."""
    return Rule(keys(theirs), (), reason=reason)


def constant(ours: str, value: Tensor) -> Rule:
    """A key of ours that theirs do without; on the way back it must still hold that value."""
    return Rule((), (ours,), value.clone, partial(require_value, ours, value))


def require_value(key: str, value: Tensor, found: Tensor) -> tuple[Tensor, ...]:
    """-> nothing. Raises: UserError where a tensor that they have no place for says something."""
    if not torch.equal(found, value.to(found.dtype)):
        raise UserError(f"{key} has no place there, and can be left out only while it holds {value.flatten()[0]:g}.")
    return ()


def query_key_value(theirs: str, ours: str, *, key_bias: bool = True) -> Table:
    """Three Linears (`theirs` with `{part}` for q, k and v) as our one; their keys may have no bias."""
    query, key, value = (theirs.replace("{part}", part) for part in "qkv")
    weights = tuple(f"{part}.weight" for part in (query, key, value))
    if key_bias:
        biases = mapped(tuple(f"{part}.bias" for part in (query, key, value)), f"{ours}.bias", stack, split_in_three)
    else:
        biases = mapped((f"{query}.bias", f"{value}.bias"), f"{ours}.bias", stack_without_key, split_without_key)
    return [mapped(weights, f"{ours}.weight", stack, split_in_three), biases]


def stack(*tensors: Tensor) -> Tensor:
    return torch.cat(tensors)


def split_in_three(stacked: Tensor) -> tuple[Tensor, ...]:
    return stacked.chunk(3)


def stack_without_key(query: Tensor, value: Tensor) -> Tensor:
    return torch.cat([query, torch.zeros_like(query), value])


def split_without_key(stacked: Tensor) -> tuple[Tensor, ...]:
    """A bias of keys shifts all scores of a query alike, so that leaving it out changes no attention."""
    query, _, value = stacked.chunk(3)
    return query, value


def as_batch_of_one(tensor: Tensor) -> Tensor:
    return tensor[None]


def without_batch(tensor: Tensor) -> Tensor:
    return tensor[0]


def patch_kernel(theirs: str, ours: str, patch_embedding: str, *, channels: int, patch_size) -> Rule:
    """A strided convolution's kernel, for the word in our config."""
    if patch_embedding == "conv":
        return mapped(theirs, ours)
    return mapped(theirs, ours, conv_to_linear, partial(linear_to_conv, channels=channels, patch_size=patch_size))


def under(table: Table, *, theirs: str = "", ours: str = "") -> Table:
    """The same rules for modules that lie deeper."""
    return [
        rule._replace(
            theirs=tuple(f"{theirs}{key}" for key in rule.theirs), ours=tuple(f"{ours}{key}" for key in rule.ours)
        )
        for rule in table
    ]


def written_out(table: Table, layers: int) -> Iterator[Rule]:
    """Each rule with numbers in place of `{layer}`."""
    for rule in table:
        for_each_layer = any("{layer}" in key for key in (*rule.theirs, *rule.ours))
        for layer in range(layers) if for_each_layer else [0]:
            number = str(layer)
            yield rule._replace(
                theirs=tuple(key.replace("{layer}", number) for key in rule.theirs),
                ours=tuple(key.replace("{layer}", number) for key in rule.ours),
            )


def turned(table: Table) -> Table:
    """The same table read from right to left."""
    return [Rule(rule.ours, rule.theirs, rule.inverse, rule.change, rule.reason) for rule in table]


def translate(
    state: Mapping[str, Tensor],
    table: Table,
    layers: int,
    *,
    shapes: Mapping[str, torch.Size] | None = None,
    share: bool = False,
) -> dict[str, Tensor]:
    """Their tensors under our names; with a `turned` table ours under theirs.

    A rule holds where all its keys are there. Of `state`, which may read from a file, only the tensors of one rule
    are held at a time. shapes: what the target has, so that all of it is accounted for. share: tensors that need no
    change may be those of `state` themselves.

    Raises: UncoveredKeys for keys that no rule covers, UserError for keys of the target that nothing fills, and other
        shapes.
    """
    used, translated, constants = set(), {}, []
    for rule in written_out(table, layers):
        if not all(key in state for key in rule.theirs):
            continue
        used.update(rule.theirs)
        if rule.reason is not None:
            continue
        given = [state[key] for key in rule.theirs]
        made = rule.change(*given)
        for key, tensor in zip(rule.ours, (made,) if isinstance(made, Tensor) else made, strict=True):
            if shapes is not None:
                require_place(rule, given, key, tensor, shapes)
            translated[key] = owned(tensor, given, share)
            constants += [] if given else [key]
    dtype = next((tensor.dtype for key, tensor in translated.items() if key not in constants), torch.float32)
    translated.update({key: translated[key].to(dtype) for key in constants})
    if left := set(state) - used:
        raise UncoveredKeys(left)
    if shapes is not None and (missing := set(shapes) - set(translated)):
        raise UserError(f"The source has nothing that makes {listed(missing)}; it is of another architecture.")
    return translated


def require_place(rule: Rule, given: list[Tensor], key: str, tensor: Tensor, shapes: Mapping[str, torch.Size]) -> None:
    """Raises: UserError unless the target has the key, in this shape."""
    sources = " and ".join(f"{name} of shape {tuple(one.shape)}" for name, one in zip(rule.theirs, given, strict=True))
    made = f"{sources} {'makes' if len(given) == 1 else 'make'} {key}"
    if key not in shapes:
        raise UserError(f"{made}, which the target does not have; its configuration says otherwise.")
    if tensor.shape != shapes[key]:
        raise UserError(f"{made} of shape {tuple(tensor.shape)}, but the target has {tuple(shapes[key])} there.")


def owned(tensor: Tensor, given: list[Tensor], share: bool) -> Tensor:
    """The tensor by itself: no view of a larger one, and none of the source's unless it may be shared."""
    if any(tensor is one for one in given) and share:
        return tensor.detach()
    storages = {one.untyped_storage().data_ptr() for one in given}
    if tensor.untyped_storage().data_ptr() in storages or not tensor.is_contiguous():
        return tensor.detach().clone(memory_format=torch.contiguous_format)
    return tensor.detach()


def listed(names, count: int = 4) -> str:
    """The first few of them."""
    names = sorted(names)
    more = f" and {len(names) - count} more" if len(names) > count else ""
    return f"{names[:count]}{more}"
