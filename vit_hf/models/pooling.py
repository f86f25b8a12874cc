"""From the tokens of an image to one vector."""

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from .attention import split_heads
from .blocks import FeedForward


class ClassTokenPool(nn.Module):
    """b n d -> b d: the first token."""

    def forward(self, tokens: Tensor, seen: Tensor | None = None) -> Tensor:
        return tokens[:, 0]


class MeanPool(nn.Module):
    """b n d, b n -> b d: the mean of the `seen` tokens after the first `skip`."""

    def __init__(self, skip: int):
        super().__init__()
        self.skip = skip

    def forward(self, tokens: Tensor, seen: Tensor | None = None) -> Tensor:
        tokens = tokens[:, self.skip :]
        if seen is None:
            return tokens.mean(dim=1)
        weights = seen[:, self.skip :, None].to(tokens.dtype)
        return (tokens * weights).sum(dim=1) / weights.sum(dim=1)


class ClassTokenAndMeanPool(MeanPool):
    """b n d, b n -> b (2 d): the first token, and beside it the mean of the `seen` ones after the first `skip`.

    Source: DINOv2 (arXiv:2304.07193), released code.
    """

    def forward(self, tokens: Tensor, seen: Tensor | None = None) -> Tensor:
        return torch.cat([tokens[:, 0], super().forward(tokens, seen)], dim=-1)


class AttentionPool(nn.Module):
    """b n d -> b d: a learned query attends to the tokens after the first `skip`; then a residual feed-forward.

    Source: Set Transformer (arXiv:1810.00825) as in big_vision's MAP head.
    """

    def __init__(self, *, width: int, heads: int, inner: int, activation: str, eps: float, skip: int = 0):
        super().__init__()
        self.heads, self.skip = heads, skip
        self.query = nn.Parameter(torch.empty(1, 1, width))
        self.query_projection = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.output = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width, eps=eps)
        self.feed_forward = FeedForward(width=width, inner=inner, activation=activation, dropout=0.0)

    def forward(self, tokens: Tensor, seen: Tensor | None = None) -> Tensor:
        tokens, seen = tokens[:, self.skip :], None if seen is None else seen[:, self.skip :]
        query = self.query_projection(self.query).expand(tokens.shape[0], -1, -1)
        (query,) = split_heads(query, 1, self.heads)
        key, value = split_heads(self.key_value(tokens), 2, self.heads)
        mask = None if seen is None else seen[:, None, None, :]
        pooled = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        pooled = self.output(rearrange(pooled, "b heads n e -> b n (heads e)"))
        return (pooled + self.feed_forward(self.norm(pooled)))[:, 0]


def build_pool(config) -> nn.Module:
    """The pooling that a config names in `pooling`; pools take tokens and, where some are padding, which to see."""
    return POOLS[config.pooling](config)


def attention_pool(config, skip: int) -> AttentionPool:
    sizes = {"width": config.hidden_size, "heads": config.num_attention_heads, "inner": config.intermediate_size}
    return AttentionPool(**sizes, activation=config.hidden_act, eps=config.layer_norm_eps, skip=skip)


POOLS = {
    "cls": lambda config: ClassTokenPool(),
    "mean": lambda config: MeanPool(skip=config.num_prefix_tokens),
    "cls_mean": lambda config: ClassTokenAndMeanPool(skip=config.num_prefix_tokens),
    "mean_all": lambda config: MeanPool(skip=0),
    "attention": lambda config: attention_pool(config, skip=0),
    "attention_patches": lambda config: attention_pool(config, skip=config.num_prefix_tokens),
}
