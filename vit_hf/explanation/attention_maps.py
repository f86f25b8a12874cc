"""Heat maps that attention gives: of one layer and head, rolled out over all layers, and weighed by gradients."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import UserError
from ..families.base import is_a
from ..models.attention import split_heads
from .flows import through, through_merging
from .passes import (
    MERGING,
    AttentionCall,
    LayerCall,
    Recording,
    TokenLayout,
    attentions_of,
    go_back,
    gradients_of,
    layout_of,
    record,
)


def of_heads(looked: AttentionCall, head: int | None = None) -> tuple[Tensor, Tensor | None]:
    """-> b q k, and b 1 k of a class token that looks by itself: the mean over the heads, or one of them"""
    chosen = slice(None) if head is None else slice(head, head + 1)
    own = None if looked.of_class is None else looked.of_class[:, chosen].float().mean(1)
    return looked.weights[:, chosen].float().mean(1), own


def attention(model: Any, pixel_values: Tensor, targets: Tensor, *, layer: int = -1, head: int | None = None) -> Tensor:
    """b (t) c h w -> b (t) h w: how the tokens that the head reads look at all others in one layer.

    layer: a block by its number, from 0 or from the end. head: one of its heads; None: the mean of them.
    """
    recording = record(model, pixel_values)
    blocks = [place for place, step in enumerate(recording.steps) if not is_a(step.module, MERGING)]
    if not -len(blocks) <= layer < len(blocks):
        raise UserError(f"There is no layer {layer}; the model has {len(blocks)}, 0 to {len(blocks) - 1}.")
    looks = attentions_of(recording.steps[blocks[layer]])
    heads = looks[-1].weights.shape[1]
    if head is not None and not 0 <= head < heads:
        raise UserError(f"There is no head {head} in layer {layer}; it has {heads}, 0 to {heads - 1}.")
    relevance = read_by_head(model, recording, looks[-1].arguments["tokens"].shape[1])
    relevance = through(looks[-1], relevance, *of_heads(looks[-1], head))
    return placed(model, pixel_values, recording.steps[: blocks[layer]], relevance)


def rollout(model: Any, pixel_values: Tensor, targets: Tensor) -> Tensor:
    """b (t) c h w -> b (t) h w: half of what a token holds is what it held, half what it looks at, through all layers.

    Source: attention rollout, arXiv:2005.00928.
    """
    recording = record(model, pixel_values)
    relevance = read_by_head(model, recording, recording.last.shape[1])
    for step in reversed(recording.steps):
        relevance = rolled_before(step, relevance)
    return placed(model, pixel_values, (), relevance)


def rolled_before(step: LayerCall, relevance: Tensor) -> Tensor:
    """b n -> b n: of what entered a step, from that of what left it"""
    if is_a(step.module, MERGING):
        return through_merging(step, relevance)
    for looked in reversed(attentions_of(step)):
        relevance = (relevance + through(looked, relevance, *of_heads(looked))) / 2
    return relevance


def relevance(model: Any, pixel_values: Tensor, targets: Tensor) -> Tensor:
    """b (t) c h w, b -> b (t) h w: as rollout, of what the attention does for the target: weights times their gradient,
    where that is positive, in the mean of the heads.

    It begins with what each token that the head reads adds to the logit. Source: arXiv:2103.15679, eq. 5 and 6, but for
    the scale of each layer (`helping`).
    """
    recording = record(model, pixel_values)
    gradient, of_read = gradients_of(recording.logits, targets, [recording.last, recording.read])
    held = of_all_frames(contribution(recording.read, of_read), recording.last)
    for step in reversed(recording.steps):
        gradient, held = relevance_before(step, gradient, held)
    return placed(model, pixel_values, (), held)


def relevance_before(step: LayerCall, gradient: Tensor, held: Tensor) -> tuple[Tensor, Tensor]:
    """b n d, b n -> b n d, b n: gradient and relevance of what entered a step, from those of what left it."""
    gradient, looks, of_weights = go_back(step, gradient)
    if is_a(step.module, MERGING):
        return gradient, through_merging(step, held)
    for looked, (of_groups, of_class) in reversed([*zip(looks, of_weights, strict=True)]):
        own = None if looked.of_class is None or of_class is None else helping(looked.of_class, of_class)
        held = held + through(looked, held, helping(looked.weights, of_groups), own)
    return gradient, held


def helping(weights: Tensor, gradient: Tensor) -> Tensor:
    """b heads q k, twice -> b q k: weights times gradients, where that is positive, in the mean of the heads; on a
    scale on which the token that finds most help in its group passes on as much as it holds.

    Gradients are as large as the logits happen to be. Without a scale of its own a layer counts for next to nothing
    beside what tokens hold already, or for all.
    """
    found = (weights.float() * gradient.float()).clamp(min=0).mean(1)
    return found / found.sum(-1, keepdim=True).amax(-2, keepdim=True).clamp(min=torch.finfo(found.dtype).tiny)


def contribution(tokens: Tensor, gradient: Tensor) -> Tensor:
    """b n d, b n d -> b n: the share of each token in what adds to a logit; where nothing does, in what changes it."""
    added = (tokens.detach().float() * gradient.float()).sum(-1)
    helps = added.clamp(min=0)
    shares = torch.where(helps.sum(1, keepdim=True) > 0, helps, added.abs())
    return shares / shares.sum(1, keepdim=True).clamp(min=torch.finfo(shares.dtype).tiny)


def of_all_frames(shares: Tensor, last: Tensor) -> Tensor:
    """b n -> (b t) n: of frames that know nothing of each other until their mean is read, as much of each"""
    frames = last.shape[0] // shares.shape[0]
    return shares.repeat_interleave(frames, 0) / frames


def placed(model: nn.Module, pixel_values: Tensor, before: Sequence[LayerCall], relevance: Tensor) -> Tensor:
    """b n -> b (t) h w of the first step's patches: those of a later stage are spread over what was merged to them."""
    for step in reversed(before):
        if is_a(step.module, MERGING):
            relevance = through_merging(step, relevance)
    layout: TokenLayout = layout_of(model, pixel_values, relevance[..., None])
    return layout.place(relevance)


# From tokens to how much of each a head reads


def read_by_head(model: Any, recording: Recording, count: int) -> Tensor:
    """-> b n: how much of each token of the last layer the head reads; of an earlier stage with `count` tokens, each as
    much."""
    tokens, last = recording.read.detach(), recording.last
    if last.shape[1] != count:
        return tokens.new_full((len(last), count), 1 / count, dtype=torch.float32)
    shares = tokens.new_zeros(tokens.shape[:2], dtype=torch.float32)
    pool = next((module for module in model.modules() if is_a(module, *READS)), None)
    reads = next((read for name, read in READS.items() if pool is not None and is_a(pool, name)), read_class_token)
    return of_all_frames(reads(pool, model, shares, tokens), last)


def read_class_token(pool: Any, model: Any, shares: Tensor, tokens: Tensor) -> Tensor:
    """The first; a distillation token is read as much."""
    read = 1 + bool(getattr(model.config, "distillation_token", False))
    shares[:, :read] = 1 / read
    return shares


def read_mean(pool: Any, model: Any, shares: Tensor, tokens: Tensor) -> Tensor:
    shares[:, pool.skip :] = 1 / (shares.shape[1] - pool.skip)
    return shares


def read_both(pool: Any, model: Any, shares: Tensor, tokens: Tensor) -> Tensor:
    both = read_mean(pool, model, shares, tokens) / 2
    both[:, 0] = 1 / 2
    return both


@torch.no_grad()
def read_by_attention(pool: Any, model: Any, shares: Tensor, tokens: Tensor) -> Tensor:
    """The pool's own attention, written out."""
    (query,) = split_heads(pool.query_projection(pool.query), 1, pool.heads)
    key, _ = split_heads(pool.key_value(tokens[:, pool.skip :]), 2, pool.heads)
    weights = (query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5).float().softmax(-1)  # b heads 1 n
    shares[:, pool.skip :] = weights.mean(1)[:, 0]
    return shares


READS: dict[str, Callable[[Any, Any, Tensor, Tensor], Tensor]] = {
    "ClassTokenPool": read_class_token,
    "ClassTokenAndMeanPool": read_both,
    "MeanPool": read_mean,
    "AttentionPool": read_by_attention,
}
