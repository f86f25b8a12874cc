"""A model from nothing but weights: what their shapes say of it, and what must be said beside them."""

from collections.abc import Callable, Mapping, Sequence
from math import isqrt
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ...errors import UserError
from ...families import Family
from ...models.shapes import PartialPatches, Size, pair
from .checkpoint_files import Tensors
from .rules import Table, UncoveredKeys, dropped, listed, under
from .weights import fill

# Of the published widths those whose heads are not 64 wide (arXiv:2010.11929, arXiv:2106.04560).
HEADS_OF_WIDTH = {1280: 16, 1408: 16, 1664: 16}

# What people call what they put on top of an encoder.
HEAD_WORDS = {
    "head",
    "heads",
    "classifier",
    "fc",
    "cls_head",
    "mlp_head",
    "linear_head",
    "classification_head",
    "last_layer",
}


class Found(NamedTuple):
    """What weights are.

    words: what they say in our words.
    table: our config -> rules, from their names to those of our trunk.
    head: rules for the classifier; None where there is none.
    notes: a line for each thing that was left out or assumed.
    images: how their authors prepare images, as `make_image_processor` takes it; None where nobody says.
    """

    state: Mapping[str, Tensor]
    words: dict[str, Any]
    table: Callable[[Any], Table]
    head: Table | None
    notes: list[str]
    images: dict[str, Any] | None = None


def build_model(family: Family, found: Found, said: Mapping[str, Any]) -> Any:
    """Our model of these weights, in their dtype; `said` are fields of our configuration that hold over what was found.

    With num_labels=0 a classifier is left out, of whatever form. Raises: UserError where weights and words do not fit
    together.
    """
    config = family.config_class(**{**found.words, **said})
    classifies = found.head is not None and bool(config.num_labels)
    model_class = family.classifier if classifies else family.classes["AutoModel"]
    with torch.device("meta"):
        ours = model_class(config)
    table = whole_table(found, config, model_class.base_model_prefix)
    try:
        fill(ours, found.state, table, config.num_hidden_layers)
    except UncoveredKeys as error:
        heads = {key for key in error.keys if key.split(".")[0] in HEAD_WORDS}
        if heads != error.keys or said.get("num_labels") != 0:
            raise UserError(way_out(error, heads)) from error
        found.notes.append(f"{listed(heads)} left out: num_labels=0 was said")
        left_out = [dropped(key, "num_labels=0 was said") for key in heads]
        fill(ours, found.state, [*table, *left_out], config.num_hidden_layers)
    return ours


def way_out(error: UncoveredKeys, heads: set[str]) -> str:
    """What a user can do about keys that no rule covers."""
    if heads != error.keys:
        return f"{error} The weights hold them beside a model that is known here; they are of another architecture."
    return (
        f"The weights end in a head of their own, {listed(heads)}, which has no form in our words: ours is one Linear. "
        "Take the encoder alone with num_labels=0 (convert: --say num_labels=0)."
    )


def with_plain_head(state: Mapping[str, Tensor], standard: str, width: int, notes: list[str]) -> Mapping[str, Tensor]:
    """The same, with the one Linear that somebody put in place of the head under the head's own name.

    A head of more than that stays as it is.
    """
    heads = [key for key in state if key.split(".")[0] in HEAD_WORDS and "pre_logits" not in key]
    names = {key.rpartition(".")[0] for key in heads}
    if f"{standard}.weight" in state or len(names) != 1:
        return state
    (name,) = names
    is_linear = {f"{name}.weight", f"{name}.bias"} == set(heads) and state[f"{name}.weight"].shape[1:] == (width,)
    if not is_linear:
        return state
    notes.append(f"{name} is taken for the classifier, which it was put in place of")
    renamed = {key: f"{standard}{key[len(name) :]}" if key in heads else key for key in state}
    return Tensors({new: lambda key=key: state[key] for key, new in renamed.items()})


def whole_table(found: Found, config: Any, trunk: str) -> Table:
    """For our classifier, whose encoder is its `trunk`; without labels, or a head among the weights, for our model of
    tokens."""
    table, head = found.table(config), found.head or []
    if config.num_labels and head:
        return [*under(table, ours=f"{trunk}."), *head]
    return [*table, *(rule._replace(ours=(), reason="num_labels=0 was said") for rule in head)]


def depth_of(state: Mapping[str, Tensor], start: str) -> int:
    """How many layers have keys that begin with `start` and a number."""
    numbers = {key[len(start) :].split(".")[0].split("/")[0] for key in state if key.startswith(start)}
    return len({number for number in numbers if number.isdigit()})


def number_of_heads(width: int, heads: int | None, notes: list[str]) -> int:
    """The heads that were said, or those of the published models of this width."""
    if heads is None:
        heads = HEADS_OF_WIDTH.get(width, max(1, width // 64))
        notes.append(f"num_attention_heads={heads} is assumed of the width {width}; say it where it is another")
    return heads


def image_size_of(positions: int, patch_size: tuple[int, int], said: Size | None) -> int | list[int]:
    """The size of image whose patches have so many positions: a square, unless another is said."""
    if said is not None:
        height, width = (side // patch for side, patch in zip(pair(said), patch_size, strict=True))
        if height * width != positions:
            raise UserError(
                f"image_size={said} makes {height} x {width} patches of {patch_size[0]} x {patch_size[1]} pixels, "
                f"but the weights hold positions for {positions}."
            )
        return said if isinstance(said, int) else list(said)
    side = isqrt(positions)
    if side * side != positions:
        raise UserError(f"The weights hold positions for {positions} patches, which is no square; say image_size.")
    return as_size(side * patch_size[0], side * patch_size[1])


def partial_patches_of(image_size: int | Sequence[int], patch_size: int | Sequence[int]) -> PartialPatches:
    """What strided convolutions of other libraries do with images of this size."""
    whole = all(side % patch == 0 for side, patch in zip(pair(image_size), pair(patch_size), strict=True))
    return "refuse" if whole else "cut"


def as_size(height: int, width: int) -> int | list[int]:
    return height if height == width else [height, width]
