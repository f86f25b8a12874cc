"""Fewer tokens for a model that is there: as long as it is put on, trunk, blocks and attentions compute another forward
in place of their own. Classes, weights and configuration stay what they are, also of a model whose code came with its
weights."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import MethodType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.utils.generic import can_return_tuple

from ..errors import UserError
from ..families.base import is_a
from ..models.attention import ATTENTION_FUNCTIONS, split_heads
from ..models.modeling_base import check_pixels, seen_tokens
from ..models.modeling_vit import rotary_angles
from ..models.positions import Angles, Grid, apply_rotary
from .matching import Merged, chosen_patches, merge, rows
from .schedule import TokenMergingSettings, settings_of


@dataclass(frozen=True)
class FewerTokens:
    """r: tokens that each layer merges. in_evaluation: whether it does so not only in training. dropped: the share of
    patches that training leaves out. whole: as in `Merged`."""

    r: tuple[int, ...]
    in_evaluation: bool = True
    dropped: float = 0.0
    whole: bool = False


class BlockInput(NamedTuple):
    """What a block is called with beside its tokens. queries: as in `VisionTransformerModel.queries_of_layers`."""

    grid: Grid
    merged: Merged
    r: int
    prefix: int
    queries: int | None


# The three forwards. Each is the module's own where tokens are not to become fewer.


def of_trunk(self: Any, pixel_values: Tensor, *options: Any, **named: Any) -> Any:
    way: FewerTokens = self.fewer_tokens
    if not (self.training or way.in_evaluation):
        return type(self).forward(self, pixel_values, *options, **named)
    return computed_with_fewer(self, pixel_values, *options, **named)


@can_return_tuple
def computed_with_fewer(
    self: Any,
    pixel_values: Tensor,
    bool_masked_pos: Tensor | None = None,
    attention_mask: Tensor | None = None,
    output_attentions: bool | None = None,
    output_hidden_states: bool | None = None,
    interpolate_pos_encoding: bool | None = None,
    head_mask: None = None,
    check_finite: bool = False,
    pooled_only: bool = False,
) -> BaseModelOutputWithPooling:
    """As `VisionTransformerModel.forward`. last_hidden_state: of every patch the token that it was merged into; patches
    that training left out have none.

    Raises: UserError for what a layer's fewer tokens cannot give.
    """
    check_pixels(pixel_values, self.config.num_channels, finite=check_finite)
    refuse_what_layers_show(self.asked(output_attentions, output_hidden_states, head_mask))
    refuse_backend(self.config._attn_implementation)
    way, prefix = self.fewer_tokens, self.config.num_prefix_tokens
    grid = self.config.grid_of(pixel_values.shape[-2:])
    tokens = self.embeddings(pixel_values, grid, bool_masked_pos)  # b n d
    seen = seen_tokens(attention_mask, tokens, prefix)  # b n
    rotary = rotary_angles(self.config, grid, tokens.device)  # n e
    if self.training and way.dropped:
        draws = torch.rand(tokens.shape[0], tokens.shape[1] - prefix, device=tokens.device)
        tokens, seen, rotary = kept_of(chosen_patches(draws, 1 - way.dropped, prefix), tokens, seen, rotary)
    merged = Merged(None if seen is None else seen.float(), None, rotary, way.whole)
    queries_of_layers = self.queries_of_layers(alone=pooled_only and seen is None)
    for layer, r, queries in zip(self.layers, way.r, queries_of_layers, strict=True):
        tokens, merged = layer(tokens, BlockInput(grid, merged, r, prefix, queries))  # b n d, fewer and fewer
    tokens, pooled = self.normalize_and_pool(tokens, read_by_pool(self.pool, tokens, merged, seen))
    if merged.members is not None and not (pooled_only or merged.whole):
        tokens = rows(tokens, merged.members)
    return BaseModelOutputWithPooling(last_hidden_state=tokens, pooler_output=pooled)


def of_block(self: Any, tokens: Tensor, step: Any, *context: Any, **named: Any) -> Any:
    """b n d -> b (n - r) d, merged between attention and feed-forward, and what these stand for."""
    if not isinstance(step, BlockInput):
        return type(self).forward(self, tokens, step, *context, **named)
    merged = step.merged
    attended, _, keys = self.attention(
        self.attention_norm(tokens),
        step.grid,
        None if (bias := merged.bias(tokens.dtype)) is None else bias[:, None, None, :],
        merged.rotary,
        num_queries=step.queries,
        with_keys=True,
    )
    tokens = tokens[:, : attended.shape[1]] + self.drop_path(self.attention_scale(attended))
    if step.queries is None:
        tokens, merged = merge(tokens, keys, merged, r=step.r, prefix=step.prefix)
    return tokens + self.drop_path(self.feed_forward_scale(self.feed_forward(self.feed_forward_norm(tokens)))), merged


def of_attention(
    self: Any,
    tokens: Tensor,
    grid: Grid,
    mask: Tensor | None = None,
    rotary: Angles | None = None,
    output_attentions: bool = False,
    num_queries: int | None = None,
    with_keys: bool = False,
) -> tuple[Tensor, ...]:
    """As `Attention.forward`; `with_keys` also b n e, by which tokens are alike: the mean of their keys over the heads,
    before they turn."""
    if not with_keys:
        return type(self).forward(self, tokens, grid, mask, rotary, output_attentions, num_queries)
    query, key, value = split_heads(self.qkv(tokens), 3, self.heads)
    if self.query_norm is not None:
        query, key = self.query_norm(query), self.key_norm(key)
    alike = key.detach().mean(1)
    if rotary is not None:
        query, key = apply_rotary(query, *rotary), apply_rotary(key, *rotary)
    attend = ATTENTION_FUNCTIONS["eager" if output_attentions else self.config._attn_implementation or "eager"]
    dropout = self.dropout_rate if self.training else 0.0
    mixed, weights = attend(self, query[:, :, :num_queries], key, value, mask, scaling=self.scaling, dropout=dropout)
    return self.dropout(self.output(mixed.flatten(-2))), weights, alike


def kept_of(
    places: Tensor, tokens: Tensor, seen: Tensor | None, rotary: Angles | None
) -> tuple[Tensor, Tensor | None, Angles | None]:
    """Of tokens, and of what is known of them, those at b k places."""
    if rotary is not None:
        cosines, sines = (turn[places][:, None] for turn in rotary)  # b 1 k e
        rotary = (cosines, sines)
    return rows(tokens, places), None if seen is None else seen.gather(1, places), rotary


def read_by_pool(pool: nn.Module | None, tokens: Tensor, merged: Merged, seen: Tensor | None) -> Tensor | None:
    """-> b n: which tokens a pool sees: merged ones by their sizes, or of attention by what these add to its scores"""
    if merged.members is None or merged.whole:
        return seen
    return merged.bias(tokens.dtype) if is_a(pool, "AttentionPool") else merged.sizes


# Putting it on, and taking it off


def merge_tokens(
    model: Any, r: int | str | Sequence[int] | TokenMergingSettings, *, inflection: float = 0.0, evaluation: bool = True
) -> Any:
    """The model, which from now on merges tokens that are alike: r fewer in each layer, at most half of those that are
    left, until it is called with 0. What is saved is the model as it was.

    r: one number, or one for each layer. inflection: as in `TokenMergingSettings`. evaluation: not in training alone.

    Raises: UserError for models that need every patch, and for what is no number of tokens.
    """
    settings = settings_of(r, inflection)
    return use_fewer_tokens(model, settings, evaluation=evaluation, dropped=dropped_by(model))


def drop_patches(model: Any, share: float) -> Any:
    """The model, which from now on leaves out a share of the patches of each image in training, others each time, until
    it is called with 0. Class token and registers are never left out. Source: PatchDropout, arXiv:2208.07220.

    Raises: UserError as `merge_tokens`.
    """
    if not 0 <= share < 1:
        raise UserError(f"A share of {share:g} of the patches cannot be left out; say one from 0 to below 1.")
    way = fewer_tokens_of(model)
    if way is not None and any(way.r):
        return put_on(model, replace(way, dropped=share))
    return use_fewer_tokens(model, None, dropped=share)


def fewer_tokens_of(model: Any) -> FewerTokens | None:
    """What is put on a model."""
    return vars(getattr(model, "base_model", model)).get("fewer_tokens")


def dropped_by(model: Any) -> float:
    way = fewer_tokens_of(model)
    return 0.0 if way is None else way.dropped


def use_fewer_tokens(
    model: Any, merging: TokenMergingSettings | None, *, evaluation: bool = True, dropped: float = 0.0
) -> Any:
    """As `merge_tokens` and `drop_patches` together; neither takes it off."""
    if merging is None and not dropped:
        return every_token(model)
    refuse_whole_grids(model, "token_merging" if merging is not None else "patch_dropout")
    layers = len(model.base_model.layers)
    r = (0,) * layers if merging is None else merging.of_layers(layers)
    return put_on(model, FewerTokens(r, in_evaluation=evaluation and merging is not None, dropped=dropped))


def put_on(model: Any, way: FewerTokens) -> Any:
    if not any(way.r) and not way.dropped:
        return every_token(model)
    trunk = model.base_model
    trunk.fewer_tokens, trunk.forward = way, MethodType(of_trunk, trunk)
    for block in trunk.layers:
        block.forward, block.attention.forward = MethodType(of_block, block), MethodType(of_attention, block.attention)
    return model


def every_token(model: Any) -> Any:
    """The model as it was."""
    trunk = getattr(model, "base_model", model)
    if fewer_tokens_of(model) is not None:
        for module in (trunk, *trunk.layers, *(block.attention for block in trunk.layers)):
            del module.forward
        del trunk.fewer_tokens
    return model


@contextmanager
def token_for_each_patch(model: Any) -> Iterator[None]:
    """Within it a model that merges tokens computes the same with all of them, those of a merged one equal to each
    other: so layers have a token in the place of every patch."""
    way = fewer_tokens_of(model)
    if way is None:
        yield
        return
    try:
        model.base_model.fewer_tokens = replace(way, whole=True)
        yield
    finally:
        model.base_model.fewer_tokens = way


# What is refused


def refuse_whole_grids(model: Any, field: str) -> None:
    """Raises: UserError for models whose layers or heads need every patch."""
    name, config, trunk = type(model).__name__, getattr(model, "config", None), getattr(model, "base_model", model)
    if not is_a(trunk, "VisionTransformerModel"):
        kind = getattr(config, "model_type", name)
        raise UserError(
            f"{field} is for the Vision Transformers of this package (model_type vit_hf), whose tokens stand for "
            f"themselves; {name} ({kind}) needs all of its patches, or computes them elsewhere. Leave it out."
        )
    if trunk.pool is None:
        raise UserError(f"{field}: {name} gives something for every patch, of which none may be missing; leave it out.")
    if config is not None and config.position_embedding == "relative_bias":
        raise UserError(
            f"{field}: position_embedding='relative_bias' has a bias for each step between two patches, and none for "
            "tokens of several; leave it out, or take a model with other positions."
        )
    refuse_backend(config._attn_implementation if config is not None else None)


def refuse_backend(backend: str | None) -> None:
    if backend not in (None, *ATTENTION_FUNCTIONS):  # flex attention would, but on CPUs torch 2.13 dies of it
        raise UserError(
            f"Merged and left-out tokens need a term in attention's scores that {backend!r} does not allow; load the "
            f"model with attn_implementation as one of {', '.join(ATTENTION_FUNCTIONS)}."
        )


def refuse_what_layers_show(asked: Any) -> None:
    if any(asked):
        what = "output_attentions" if asked.attentions else "output_hidden_states"
        raise UserError(
            f"{what}: layers that merge or leave out tokens have none for every patch; take that off first with "
            "merge_tokens(model, 0), or see vit_hf.explain, whose maps are of every patch."
        )
