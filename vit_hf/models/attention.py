"""Multi-head self-attention, computed by whichever backend transformers is told to use."""

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from .positions import Angles, Grid, apply_rotary
from .shapes import UserError


def eager_attention(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scaling: float, dropout: float
) -> tuple[Tensor, Tensor]:
    """b heads n e, three times -> b n heads e, b heads n n: attention written out, which also gives its weights."""
    scores = query @ key.transpose(-1, -2) * scaling
    if mask is not None:
        scores = scores + mask
    # Half precision is too coarse for the sum; double keeps its own.
    exact = torch.promote_types(scores.dtype, torch.float32)
    weights = scores.softmax(dim=-1, dtype=exact).to(query.dtype)
    mixed = functional.dropout(weights, dropout, module.training) @ value
    return rearrange(mixed, "b heads n e -> b n heads e"), weights


def sdpa_attention(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scaling: float, dropout: float
) -> tuple[Tensor, None]:
    """b heads n e, three times -> b n heads e, None: torch's own fused attention."""
    mixed = functional.scaled_dot_product_attention(query, key, value, mask, dropout, scale=scaling)
    return mixed.transpose(1, 2), None


def split_heads(tokens: Tensor, parts: int, heads: int) -> tuple[Tensor, ...]:
    """b n (parts heads e) -> b heads n e, `parts` times; without einops, which costs a small image a percent."""
    return tokens.unflatten(-1, (parts, heads, -1)).permute(2, 0, 3, 1, 4).unbind()


def build_dropout(rate: float) -> nn.Module:
    """Dropout, or nothing where it would drop nothing: a module that is called costs a small image its time."""
    return nn.Dropout(rate) if rate else nn.Identity()


# What transformers' wrapper of sdpa decides for language models at every call would cost a small image a percent.
ATTENTION_FUNCTIONS = {"eager": eager_attention, "sdpa": sdpa_attention}


class Attention(nn.Module):
    """b n d -> b n d, and the weights b heads n n when they are asked for.

    One matrix makes queries, keys and values; heads · head_width need not be `width`. `relative_bias` (a module) and
    `rotary` tell it where tokens lie; `norm_eps` adds norms of queries and keys. All tokens are queries, or only
    the first `num_queries`. Source: arXiv:1706.03762, section 3.2.
    """

    def __init__(
        self, config, *, width, heads, head_width, bias, dropout, output_dropout, norm_eps=None, relative_bias=None
    ):
        super().__init__()
        # transformers' backends read these three.
        self.config, self.is_causal, self.scaling = config, False, head_width**-0.5
        self.heads, self.head_width, self.dropout_rate = heads, head_width, dropout
        self.qkv = nn.Linear(width, 3 * heads * head_width, bias=bias)
        self.query_norm = None if norm_eps is None else nn.LayerNorm(head_width, eps=norm_eps)
        self.key_norm = None if norm_eps is None else nn.LayerNorm(head_width, eps=norm_eps)
        self.relative_bias = relative_bias
        self.output = nn.Linear(heads * head_width, width)
        self.dropout = build_dropout(output_dropout)

    def forward(
        self, tokens, grid: Grid, mask=None, rotary: Angles | None = None, output_attentions=False, num_queries=None
    ):
        query, key, value = split_heads(self.qkv(tokens), 3, self.heads)
        if self.query_norm is not None and self.key_norm is not None:
            query, key = self.query_norm(query), self.key_norm(key)
        if rotary is not None:
            query, key = apply_rotary(query, *rotary), apply_rotary(key, *rotary)
        query = query[:, :, :num_queries]

        # Only the written-out attention has weights to show.
        backend = "eager" if output_attentions else self.config._attn_implementation
        if self.relative_bias is not None:
            mask = with_bias(mask, self.relative_bias(grid)[:, :, :num_queries], backend)
        attend = ATTENTION_FUNCTIONS.get(backend) or ALL_ATTENTION_FUNCTIONS.get_interface(backend, eager_attention)
        dropout = self.dropout_rate if self.training else 0.0
        mixed, weights = attend(self, query, key, value, mask, scaling=self.scaling, dropout=dropout)
        return self.dropout(self.output(mixed.flatten(-2))), weights  # b n heads e -> b n (heads e) -> b n d


def with_bias(mask: Tensor | None, bias: Tensor, backend: str | None) -> Tensor:
    """b 1 1 n, 1 heads n n -> b heads n n: the bias, and the mask where there is one, as one term of the scores.

    Raises: UserError for backends that take no such term.
    """
    if backend not in (None, *ATTENTION_FUNCTIONS):
        raise UserError(
            f"relative_bias is a term that {backend!r} does not allow; take one of {', '.join(ATTENTION_FUNCTIONS)}."
        )
    bias = bias.contiguous()  # or a GPU's fused kernels, which read along keys, are passed over
    return bias if mask is None else mask + bias
