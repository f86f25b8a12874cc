"""Blocks of Swin V2 (arXiv:2111.09883): norms end the branches, cosines are the scores, an MLP makes the biases."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from .blocks import Block, add
from .positions import Grid
from .window_attention import WindowAttention
from .windows import bias_of, step_index


class PostNorm(nn.LayerNorm):
    """... d -> ... d: a norm that ends a branch. It begins as zero, so that a block begins as doing nothing."""


class PostNormBlock(Block):
    """b n d -> b n d: x + norm(attention(x)), then x + norm(feed_forward(x)). Source: section 3.2."""

    def __init__(self, attention, feed_forward, *, width: int, eps: float, drop_path: float = 0.0):
        super().__init__(attention, feed_forward, width=width, eps=eps, drop_path=drop_path)
        self.attention_norm, self.feed_forward_norm = PostNorm(width, eps=eps), PostNorm(width, eps=eps)

    def forward(self, tokens: Tensor, *told, **named) -> Tensor:
        mixed, _ = self.attention(tokens, *told, **named)
        mixed = self.drop_path(self.attention_norm(mixed))
        tokens = add(tokens, mixed, self.attention_norm, self.drop_path)
        changed = self.drop_path(self.feed_forward_norm(self.feed_forward(tokens)))
        return add(tokens, changed, self.feed_forward_norm, self.drop_path)


class UnitLength(nn.Module):
    """b heads n e -> b heads n e: each token at length 1, or at one that its head learns, of 100 at most."""

    def __init__(self, heads: int | None = None):
        super().__init__()
        self.scale = None if heads is None else nn.Parameter(torch.empty(heads, 1, 1))  # its logarithm

    def forward(self, tokens: Tensor) -> Tensor:
        # Keys of padding are 0, by which half precision divides where it rounds 1e-12 to 0.
        tokens = functional.normalize(tokens, dim=-1, eps=max(1e-12, torch.finfo(tokens.dtype).tiny))
        return tokens if self.scale is None else tokens * self.scale.clamp(max=math.log(100)).exp()


class KeylessLinear(nn.Linear):
    """... d -> ... (three d'): queries, keys and values of d' each; the bias has none for keys."""

    def __init__(self, width: int, inner: int):
        super().__init__(width, 3 * inner)
        self.bias = nn.Parameter(torch.empty(2 * inner))

    def forward(self, input: Tensor) -> Tensor:
        query, value = self.bias.chunk(2)
        return functional.linear(input, self.weight, torch.cat([query, torch.zeros_like(query), value]))


class CosineAttention(WindowAttention):
    """b (h w) d -> b (h w) d: as `WindowAttention`, with scores that are cosines times what the head learns.

    Source: section 3.2; that keys have no bias is of Microsoft's released code.
    """

    def __init__(self, config, *, width: int, heads: int, head_width: int, bias: bool, **options):
        super().__init__(config, width=width, heads=heads, head_width=head_width, bias=bias, **options)
        if bias:
            self.qkv = KeylessLinear(width, heads * head_width)
        self.query_norm, self.key_norm, self.scaling = UnitLength(heads), UnitLength(), 1.0


class ContinuousBias(nn.Module):
    """-> 1 heads m m: the bias of each step within a window, 0 to 16, that an MLP makes of how far it is.

    span: the patches along [rows, columns] of the window that was learned with; None for that of each call.
    Source: section 3.3, and for the numbers Microsoft's released code.
    """

    def __init__(self, heads: int, span: Grid | None):
        super().__init__()
        self.span = span
        self.inner = nn.Linear(2, 512)
        self.outer = nn.Linear(512, heads, bias=False)

    def forward(self, grid: Grid) -> Tensor:
        like = self.inner.weight
        table = 16 * self.outer(self.inner(log_steps(grid, self.span or grid, like)).relu()).sigmoid()
        return bias_of(table, step_index(grid, grid, like.device), learns=self.training)

    def beside(self, mask: Tensor | None, grid: Grid) -> Tensor:
        """w 1 m m -> heads w m m: bias and mask as one term."""
        term = self(grid)[0][:, None]
        return term if mask is None else term + mask[:, 0]


def log_steps(grid: Grid, span: Grid, like: Tensor) -> Tensor:
    """-> (h w) 2: each step within a window by rows and columns, where 1 is seven eighths of what `span` allows.

    Their logarithms, so that larger windows reach little further than those learned with. Source: eq. 4.
    """
    sides = []
    for side, whole in zip(grid, span, strict=True):
        steps = torch.arange(2 * side - 1, device=like.device, dtype=torch.float32) - (side - 1)
        steps = 8 * steps / torch.sym_max(whole - 1, 1)
        sides.append(steps.sign() * (steps.abs() + 1).log2() / 3)
    down, right = sides
    both = torch.stack([down[:, None].expand(-1, right.shape[0]), right.expand(down.shape[0], -1)], dim=-1)
    return both.flatten(0, 1).to(like.dtype)
