"""The pre-norm encoder block, and what its two branches are made of."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.activations import ACT2FN
from transformers.modeling_layers import GradientCheckpointingLayer

from .attention import build_dropout


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
        """... -> ...: the activation. Plain GELU reuses the memory of `inner`'s output, the model's largest tensor."""
        if not self.plain_gelu or watched(hidden, self.inner):
            return self.activation(hidden)
        return functional.gelu(hidden, out=hidden)  # pyright: ignore[reportCallIssue] (its stub leaves `out` out)


def watched(tensor: Tensor, *givers: nn.Module) -> bool:
    """Whether someone may still look at a tensor that these modules gave: a gradient, a compiler, a hook on one of them
    or on a part of it."""
    if tensor.requires_grad or torch.compiler.is_compiling():
        return True
    # Not children(), which would cost more than the addition saves.
    return hooked(part for giver in givers for part in (giver, *giver._modules.values()))


def hooked(modules: Iterable[nn.Module | None]) -> bool:
    """Whether someone is called with what one of these gives. A compiler keeps to what it has seen."""
    return not torch.compiler.is_compiling() and any(module is not None and module._forward_hooks for module in modules)


def add(tokens: Tensor, branch: Tensor, *givers: nn.Module) -> Tensor:
    """b n d, b n d -> b n d: the sum, in the memory of the branch where its `givers` leave that to nobody else."""
    if tokens.requires_grad or branch.dtype != tokens.dtype or watched(branch, *givers):
        return tokens + branch
    return branch.add_(tokens)


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

    What else attention is `told` passes through. Source: arXiv:2010.11929, eq. 2 and 3.
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

    def forward(self, tokens: Tensor, *told: Any, **named: Any) -> Tensor:
        mixed, _ = self.attention(self.attention_norm(tokens), *told, **named)
        mixed = self.drop_path(self.attention_scale(mixed))
        tokens = add(tokens[:, : mixed.shape[1]], mixed, self.attention, self.attention_scale, self.drop_path)
        changed = self.feed_forward(self.feed_forward_norm(tokens))
        changed = self.drop_path(self.feed_forward_scale(changed))
        return add(tokens, changed, self.feed_forward, self.feed_forward_scale, self.drop_path)


def drop_path_rates(last: float, layers: int) -> list[float]:
    """The rate of each layer: from 0 at the first to `last` at the last, linearly."""
    return [last * layer / max(layers - 1, 1) for layer in range(layers)]
