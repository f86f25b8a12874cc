"""Attention along space and along time, and the block that does one after the other."""

import torch
from torch import Tensor, nn

from .attention import Attention
from .blocks import Block, FeedForward
from .clips import Clip, class_apart, frames_of, mean_of_frames, places_of
from .fast_groups import attend_in_places, attends_in_groups
from .fast_paths import enabled


class ClipAttention(Attention):
    """b n d -> b n d: all tokens that are given attend to each other."""

    def forward(self, tokens: Tensor, clip: Clip, output_attentions=False, num_queries=None):
        return super().forward(tokens, clip.grid, clip.over_all, clip.in_space, output_attentions, num_queries)


class GroupAttention(Attention):
    """Attention within groups of a clip's tokens, with a class token that belongs to all of them."""

    def __init__(self, config, **numbers):
        super().__init__(config, **numbers)
        self.class_sees_all = config.class_attention == "all"

    def class_among_all(self, tokens: Tensor, clip: Clip) -> Tensor:
        """b (1 t n) d -> b 1 d: what the class token finds in all tokens, which are not turned for it."""
        found, _ = Attention.forward(self, tokens, clip.grid, clip.over_all, num_queries=1)
        return found


class FrameAttention(GroupAttention):
    """b (1 t n) d -> b (1 t n) d: the tokens of each frame and the class token; weights (b t) heads (1 n) (1 n).

    The class token takes the mean of what it finds in the frames. With `class_sees_all` it looks at all tokens at once,
    and its rows of the weights say nothing of it.
    """

    def forward(self, tokens: Tensor, clip: Clip, output_attentions=False, num_queries=None):
        frames = frames_of(tokens, clip.frames)
        mixed, weights = super().forward(frames, clip.grid, None, clip.in_space, output_attentions, num_queries)
        first, patches = class_apart(mixed.unflatten(0, (-1, clip.frames)))  # b t 1 d, b t n d
        first = self.class_among_all(tokens, clip) if self.class_sees_all else mean_of_frames(first, clip.seen)
        # As many parts as frames, which saves a copy; an export must not count them.
        parts = [patches.flatten(1, 2)] if torch.compiler.is_exporting() else patches.unbind(1)
        return torch.cat([first, *parts], dim=1), weights


class PlaceAttention(GroupAttention):
    """b (1 t n) d -> b (t n) d: the tokens of each place over time; weights (b n) heads t t.

    With `class_sees_all` -> b (1 t n) d: they look at the class token too, which looks at all tokens.
    """

    def forward(self, tokens: Tensor, clip: Clip, output_attentions=False):
        first, patches = class_apart(tokens)
        plain = not self.class_sees_all and clip.over_time is None and clip.in_time is None
        if plain and enabled() and attends_in_groups(self, patches, clip.frames, output_attentions):
            return self.dropout(self.output(attend_in_places(self, patches, clip.frames))), None
        places = places_of(patches, clip.frames)
        count = patches.shape[1] // clip.frames
        if self.class_sees_all:
            shared = first[:, None].expand(-1, count, -1, -1).flatten(0, 1)
            places = torch.cat([shared, places], dim=1)
        mixed, weights = super().forward(places, clip.grid, clip.over_time, clip.in_time, output_attentions)
        mixed = mixed.unflatten(0, (-1, count))[:, :, int(self.class_sees_all) :].transpose(1, 2).flatten(1, 2)
        if self.class_sees_all:
            mixed = torch.cat([self.class_among_all(tokens, clip), mixed], dim=1)
        return mixed, weights


CLIP_ATTENTIONS: dict[str, type[Attention]] = {
    "divided_space_time": FrameAttention,
    "joint_space_time": ClipAttention,
    "space_only": ClipAttention,
}


class GatedFeedForward(FeedForward):
    """b n d -> b n d: as the plain one, but half of twice the inner width gates the other (arXiv:2002.05202)."""

    def __init__(self, *, width: int, inner: int, activation: str, dropout: float):
        super().__init__(width=width, inner=inner, activation=activation, dropout=dropout)
        self.inner = nn.Linear(width, 2 * inner)

    def activate(self, hidden: Tensor) -> Tensor:
        values, gates = hidden.chunk(2, dim=-1)
        return values * self.activation(gates)


class TimeProjection(nn.Linear):
    """b n d -> b n d: what becomes of attention over time; it begins as nothing."""


class DividedBlock(Block):
    """b (1 t n) d -> b (1 t n) d: x + attention over time, then the encoder block, whose attention is over space.

    Source: arXiv:2102.05095, eq. 10 and 11.
    """

    def __init__(self, attention, feed_forward, *, temporal: PlaceAttention, projection: bool, width, eps, **options):
        super().__init__(attention, feed_forward, width=width, eps=eps, **options)
        self.temporal_norm = nn.LayerNorm(width, eps=eps)
        self.temporal_attention = temporal
        self.temporal_projection = TimeProjection(width, width) if projection else nn.Identity()

    def forward(
        self, tokens: Tensor, clip: Clip, output_attentions: bool = False, num_queries: int | None = None
    ) -> Tensor:
        moved, _ = self.temporal_attention(self.temporal_norm(tokens), clip, output_attentions)
        moved = self.drop_path(self.temporal_projection(moved))
        if self.temporal_attention.class_sees_all:
            tokens = tokens + moved
        else:  # the class token took no part
            first, patches = class_apart(tokens)
            tokens = torch.cat([first, patches + moved], dim=1)
        return super().forward(tokens, clip, output_attentions, num_queries)
