"""What a stage of Swin (arXiv:2103.14030) is built of: attention within windows, blocks around it, and the merging of
patches; and Swin V2's (arXiv:2111.09883): norms end the branches, cosines are the scores, an MLP makes the biases."""

import math

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from .attention import Attention
from .blocks import Block, FeedForward
from .fast_groups import attends_in_groups
from .fast_paths import enabled
from .fast_windows import (
    WindowTables,
    attend_image_by_image,
    attend_in_windows,
    attends_image_by_image,
    into_windows,
    out_of_windows,
    writes_out_attention,
)
from .positions import Grid
from .shapes import pair
from .windows import WindowBias, bias_of, fixed, most, step_index


class WindowAttention(Attention):
    """b (h w) d -> b (h w) d: the tokens of each window attend to each other. Its weights are (b w) heads m m."""

    def forward(self, tokens, windows: WindowTables, output_attentions=False) -> tuple[Tensor, Tensor | None]:
        if attends_image_by_image(self, tokens, output_attentions):
            return self.dropout(self.output(attend_image_by_image(self, tokens, windows))), None
        if enabled() and attends_in_groups(self, tokens, windows.shape[0] * windows.shape[1], output_attentions):
            return self.dropout(self.output(attend_in_windows(self, tokens, windows))), None
        written_out = output_attentions or writes_out_attention(self, tokens)
        inside, mask = into_windows(tokens, windows)  # (b w) m d, (b w) 1 m m
        mixed, weights = super().forward(inside, windows.shape, mask, None, written_out)  # (b w) m d
        return out_of_windows(mixed, windows, tokens.shape[0]), weights if output_attentions else None


class PostNorm(nn.LayerNorm):
    """... d -> ... d: a norm that ends a branch. It begins as zero, so that a block begins as doing nothing."""


class PostNormBlock(Block):
    """b n d -> b n d: x + norm(attention(x)), then x + norm(feed_forward(x)). Source: section 3.2."""

    def __init__(self, attention, feed_forward, *, width: int, eps: float, drop_path: float = 0.0):
        super().__init__(attention, feed_forward, width=width, eps=eps, drop_path=drop_path)
        self.attention_norm, self.feed_forward_norm = PostNorm(width, eps=eps), PostNorm(width, eps=eps)

    def forward(self, tokens: Tensor, *context, **named) -> Tensor:
        attended, _ = self.attention(tokens, *context, **named)
        tokens = tokens + self.drop_path(self.attention_norm(attended))
        return tokens + self.drop_path(self.feed_forward_norm(self.feed_forward(tokens)))


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


def log_steps(grid: Grid, span: Grid, like: Tensor) -> Tensor:
    """-> (h w) 2: each step within a window by rows and columns, where 1 is seven eighths of what `span` allows.

    Their logarithms, so that larger windows reach little further than those learned with. Source: eq. 4.
    """
    sides = []
    for side, whole in zip(grid, span, strict=True):
        steps = torch.arange(2 * side - 1, device=like.device, dtype=torch.float32) - (side - 1)
        steps = 8 * steps / most(whole - 1, 1)
        sides.append(steps.sign() * (steps.abs() + 1).log2() / 3)
    down, right = sides
    both = torch.stack([down[:, None].expand(-1, right.shape[0]), right.expand(down.shape[0], -1)], dim=-1)
    return both.flatten(0, 1).to(like.dtype)


def halved(grid: Grid) -> Grid:
    """The grid after patches were merged."""
    return (grid[0] + 1) // 2, (grid[1] + 1) // 2


class PatchMerging(nn.Module):
    """b (h 2 w 2) d -> b (h w) (2 d): squares of four tokens become one; zeros complete an odd side.

    They are normalized before, or after in the manner of Swin V2.
    """

    def __init__(self, width: int, eps: float, *, post_norm: bool):
        super().__init__()
        self.norm = nn.LayerNorm(2 * width if post_norm else 4 * width, eps=eps)
        self.reduction = nn.Linear(4 * width, 2 * width, bias=False)
        self.post_norm = post_norm

    def forward(self, tokens: Tensor, grid: Grid) -> Tensor:
        below, right = (2 * half - side for half, side in zip(halved(grid), grid, strict=True))
        tokens = tokens.unflatten(1, grid)
        if not fixed(*grid) or below or right:
            tokens = functional.pad(tokens, (0, 0, 0, right, 0, below))
        squares = rearrange(tokens, "b (h r) (w c) d -> b (h w) (c r d)", r=2, c=2)
        return self.norm(self.reduction(squares)) if self.post_norm else self.reduction(self.norm(squares))


WINDOW_BLOCKS = {"pre_norm": Block, "post_norm": PostNormBlock}
WINDOW_ATTENTIONS = {"dot_product": WindowAttention, "cosine": CosineAttention}
WINDOW_BIASES = {
    "table": lambda config, heads, stage: WindowBias(pair(config.window_size), heads),
    "continuous": lambda config, heads, stage: ContinuousBias(heads, learned_span(config, stage)),
}


def learned_span(config, stage: int) -> Grid | None:
    """The window that a stage's continuous biases were learned with, where it is another than that of the config."""
    sizes = config.pretrained_window_sizes
    return (sizes[stage], sizes[stage]) if sizes and sizes[stage] else None


def build_window_block(config, stage: int, drop_path: float) -> Block:
    """One block of a stage, as the config says in `block`, `attention` and `position_bias`."""
    width, heads = config.embed_dim * 2**stage, config.num_heads[stage]
    attention = WINDOW_ATTENTIONS[config.attention](
        config,
        width=width,
        heads=heads,
        head_width=width // heads,
        bias=config.qkv_bias,
        dropout=config.attention_probs_dropout_prob,
        output_dropout=config.hidden_dropout_prob,
        relative_bias=WINDOW_BIASES[config.position_bias](config, heads, stage),
    )
    feed_forward = FeedForward(
        width=width,
        inner=int(width * config.mlp_ratio),
        activation=config.hidden_act,
        dropout=config.hidden_dropout_prob,
    )
    return WINDOW_BLOCKS[config.block](
        attention, feed_forward, width=width, eps=config.layer_norm_eps, drop_path=drop_path
    )
