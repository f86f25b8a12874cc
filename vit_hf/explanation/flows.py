"""How relevance flows back through attention: from the tokens that look to those that are looked at, for each way in
which tokens are grouped. No matrix of all tokens by all tokens is made where attention makes none."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..families.base import is_a
from ..models.clips import class_apart, frames_of, places_of
from ..models.window_blocks import halved
from ..models.windows import window_partition, window_reverse
from .passes import AttentionCall, LayerCall


def through_all(looked: AttentionCall, weights: Tensor, relevance: Tensor) -> Tensor:
    """b n n, b n -> b n"""
    return looked_at(relevance, weights)


def through_windows(looked: AttentionCall, weights: Tensor, relevance: Tensor) -> Tensor:
    """(b w) m m, b (h w) -> b (h w)"""
    windows = looked.arguments["windows"].windows
    inside = window_partition(relevance[..., None], windows)[..., 0]  # (b w) m
    return window_reverse(looked_at(inside, weights)[..., None], windows)[..., 0]


def through_frames(looked: AttentionCall, weights: Tensor, relevance: Tensor) -> Tensor:
    """(b t) (1 n) (1 n), b (1 t n) -> b (1 t n): the class token gives each frame its share; where it looks at all
    tokens by itself, that is added by `of_class`."""
    frames = looked.arguments["clip"].frames
    share = 0 if looked.module.class_sees_all else 1 / frames
    first, patches = relevance.split([1, relevance.shape[1] - 1], dim=1)
    inside = frames_of(torch.cat([share * first, patches], dim=1)[..., None], frames)[..., 0]  # (b t) (1 n)
    found = looked_at(inside, weights).unflatten(0, (-1, frames))  # b t (1 n)
    return torch.cat([found[:, :, 0].sum(1, keepdim=True), found[:, :, 1:].flatten(1)], dim=1)


def through_places(looked: AttentionCall, weights: Tensor, relevance: Tensor) -> Tensor:
    """(b n) (1 t) (1 t), or without a class token (b n) t t, b (1 t n) -> b (1 t n)"""
    frames = looked.arguments["clip"].frames
    _, patches = class_apart(relevance[..., None])
    inside = places_of(patches, frames)[..., 0]  # (b n) t
    prefix = weights.shape[-1] - frames
    found = looked_at(torch.cat([inside.new_zeros(len(inside), prefix), inside], dim=1), weights)
    found = found.unflatten(0, (relevance.shape[0], -1))  # b n (1 t)
    first = found[:, :, :prefix].sum((1, 2))[:, None]
    return torch.cat([first, found[:, :, prefix:].transpose(1, 2).flatten(1)], dim=1)


def looked_at(relevance: Tensor, weights: Tensor) -> Tensor:
    """b q, b q k -> b k"""
    return (relevance[:, None, : weights.shape[1]] @ weights)[:, 0]


# The first whose name a class of an attention has.
FLOWS: dict[str, Callable[[AttentionCall, Tensor, Tensor], Tensor]] = {
    "WindowAttention": through_windows,
    "FrameAttention": through_frames,
    "PlaceAttention": through_places,
    "Attention": through_all,
}


def through(looked: AttentionCall, relevance: Tensor, weights: Tensor, of_class: Tensor | None) -> Tensor:
    """b n -> b n: what the tokens of a step are looked at, by those whose relevance is given.

    weights, of_class: b q k, what has been made of those of the heads.
    """
    flow: Any = next(flow for name, flow in FLOWS.items() if is_a(looked.module, name))
    found = flow(looked, weights, relevance)
    return found if of_class is None else found + looked_at(relevance[:, :1], of_class)


def through_merging(step: LayerCall, relevance: Tensor) -> Tensor:
    """b (h w) -> b (h 2 w 2): a quarter for each of the four patches that were merged, as far as they lie in the
    image"""
    rows, columns = step.context[0]
    merged = relevance.unflatten(1, halved((rows, columns))) / 4
    return merged.repeat_interleave(2, 1)[:, :rows].repeat_interleave(2, 2)[:, :, :columns].flatten(1)
