"""The shared attention within windows, and how a CPU computes it fastest."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from .attention import Attention
from .windows import Windows, move


class WindowAttention(Attention):
    """b (h w) d -> b (h w) d: the tokens of each window attend to each other. Its weights are (b w) heads m m."""

    def forward(self, tokens, windows: Windows, output_attentions=False) -> tuple[Tensor, Tensor | None]:
        on_cpu = self.on_cpu(tokens)
        learns = torch.is_grad_enabled() or (self.training and self.dropout_rate > 0)
        if on_cpu and not (output_attentions or learns):
            return self.dropout(self.output(self.image_by_image(tokens, windows))), None
        images, size = tokens.shape[0], windows.shape[0] * windows.shape[1]
        # In two steps, so that an export need not know whether an image has more than one window.
        inside = move(tokens, windows.into, windows.back).flatten(0, 1).unflatten(0, (-1, size))  # (b w) m d
        mask = windows.mask
        if mask is not None and mask.shape[0] != inside.shape[0]:
            mask = mask.repeat(images, 1, 1, 1)  # (b w) 1 m m
        mixed, weights = super().forward(inside, windows.shape, mask, None, output_attentions or on_cpu)
        mixed = mixed.flatten(0, 1).unflatten(0, (images, -1))  # b (w m) d
        return move(mixed, windows.back, windows.into), weights if output_attentions else None

    def on_cpu(self, tokens: Tensor) -> bool:
        """Whether torch's own attention is slower than what it is written out as: on a CPU, where it has no kernel for
        biases that learn, and one for longer sequences where they do not."""
        if tokens.device.type != "cpu" or self.config._attn_implementation != "sdpa":
            return False
        if torch.compiler.is_compiling() or torch.is_autocast_enabled("cpu"):
            return False
        traced = torch.jit.is_tracing()  # pyright: ignore[reportPrivateImportUsage]
        return tokens.dtype in (torch.float32, torch.float64) and not traced

    def image_by_image(self, tokens: Tensor, windows: Windows) -> Tensor:
        """b (h w) d -> b (h w) d: what attention mixes, before `output`; torch's own is slow for so short sequences."""
        padded = windows.into is not None and len(windows.into) > tokens.shape[1]
        tokens = functional.pad(tokens, (0, 0, 0, 1)) if padded else tokens
        parts = self.qkv(tokens).unflatten(-1, (3 * self.heads, -1)).flatten(1, 2)  # b (n three heads) e
        size = windows.shape[0] * windows.shape[1]
        bias: Any = self.relative_bias
        norms: Any = (self.query_norm, self.key_norm)
        term = bias.beside(windows.mask, windows.shape)  # heads w m m
        mixed = tokens.new_empty(len(tokens), len(windows.split) // 3, parts.shape[-1])  # b (heads w m) e
        for image, place in zip(parts, mixed, strict=True):
            parts_of_windows = image.index_select(0, windows.split).unflatten(0, (3, self.heads, -1, size))
            query, key, value = parts_of_windows  # heads w m e
            if norms[0] is not None:  # w heads m e
                query, key = (
                    norm(one.transpose(0, 1)).transpose(0, 1) for norm, one in zip(norms, (query, key), strict=True)
                )
            scores = query.mul_(self.scaling) @ key.transpose(-1, -2)
            weights = scores.add_(term).softmax(dim=-1)
            torch.matmul(weights, value, out=place.view_as(value))
        return mixed.index_select(1, windows.join).unflatten(1, (-1, self.heads)).flatten(2)
