"""The pre-norm encoder block, and what its two branches are made of."""

from typing import Any

import torch
from torch import Tensor, nn
from transformers.activations import ACT2FN
from transformers.modeling_layers import GradientCheckpointingLayer

from .attention import build_dropout
from .fast_paths import gelu


class FeedForward(nn.Module):
    """b n d -> b n d: Linear, activation, dropout, Linear, dropout, applied to each token by itself."""

    def __init__(self, *, width: int, inner: int, activation: str, dropout: float):
        super().__init__()
        self.inner = nn.Linear(width, inner)
        self.activation, self.plain_gelu = ACT2FN[activation], activation == "gelu"
        self.outer = nn.Linear(inner, width)
        self.dropout = build_dropout(dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.dropout(self.outer(self.dropout(self.activate(self.inner(tokens)))))

    def activate(self, hidden: Tensor) -> Tensor:
        """... -> ...: the activation of what `inner` gave."""
        return gelu(hidden, self.inner) if self.plain_gelu else self.activation(hidden)


class LayerScale(nn.Module):
    """... d -> ... d: a learned factor for each feature of a branch. Source: arXiv:2103.17239."""

    def __init__(self, width: int, start: float):
        super().__init__()
        self.start = start
        self.scale = nn.Parameter(torch.empty(width))

    def forward(self, tokens: Tensor) -> Tensor:
        return tokens * self.scale


class DropPath(nn.Module):
    """b ... -> b ...: in training, leaves a branch out for a share `rate` of the examples.

    The rest is scaled up, so that the expectation stays. Source: stochastic depth, arXiv:1603.09382.
    """

    def __init__(self, rate: float):
        super().__init__()
        self.rate = rate

    def forward(self, branch: Tensor) -> Tensor:
        if not self.training or self.rate == 0:
            return branch
        draw = torch.rand(branch.shape[0], *[1] * (branch.ndim - 1), device=branch.device)
        return keep_examples(branch, draw >= self.rate, 1 - self.rate)

    def extra_repr(self) -> str:
        return f"rate={self.rate:g}"


def keep_examples(branch: Tensor, kept: Tensor, share: float) -> Tensor:
    """b ..., b 1 ... -> b ...: the kept examples over their expected `share`, zeros for the others."""
    return branch * (kept.to(branch.dtype) / share)


class Block(GradientCheckpointingLayer):
    """b n d -> b n d: x + attention(norm(x)), then x + feed_forward(norm(x)), of the tokens that attention gives.

    context: what attention takes beside tokens. Source: arXiv:2010.11929, eq. 2 and 3.
    """

    def __init__(self, attention, feed_forward, *, width: int, eps: float, drop_path: float = 0.0, layer_scale=None):
        super().__init__()
        self.attention_norm = nn.LayerNorm(width, eps=eps)
        self.attention = attention
        self.attention_scale = nn.Identity() if layer_scale is None else LayerScale(width, layer_scale)
        self.feed_forward_norm = nn.LayerNorm(width, eps=eps)
        self.feed_forward = feed_forward
        self.feed_forward_scale = nn.Identity() if layer_scale is None else LayerScale(width, layer_scale)
        self.drop_path = DropPath(drop_path)

    def forward(self, tokens: Tensor, *context: Any, **named: Any) -> Tensor:
        attended, _ = self.attention(self.attention_norm(tokens), *context, **named)
        tokens = tokens[:, : attended.shape[1]] + self.drop_path(self.attention_scale(attended))
        return tokens + self.drop_path(self.feed_forward_scale(self.feed_forward(self.feed_forward_norm(tokens))))


def drop_path_rates(last: float, layers: int) -> list[float]:
    """The rate of each layer: from 0 at the first to `last` at the last, linearly."""
    return [last * layer / max(layers - 1, 1) for layer in range(layers)]
