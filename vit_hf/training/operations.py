"""The size of a plain Vision Transformer, and the matrix products that are nearly all of its arithmetic."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Numbers:
    """The size of a plain Vision Transformer with a class token; sides in pixels."""

    width: int
    layers: int
    heads: int
    inner: int
    patch: int
    side: int = 224
    labels: int = 1000

    @classmethod
    def of(cls, fields: dict[str, Any], side: int) -> "Numbers":
        """From the config fields of a named size."""
        return cls(
            width=fields["hidden_size"],
            layers=fields["num_hidden_layers"],
            heads=fields["num_attention_heads"],
            inner=fields["intermediate_size"],
            patch=fields["patch_size"],
            side=side,
        )

    @property
    def tokens(self) -> int:
        return (self.side // self.patch) ** 2 + 1

    @property
    def linears(self) -> list[tuple[int, int]]:
        """(in, out) of a block's matrices: queries, keys and values; projection; up; down."""
        return [
            (self.width, 3 * self.width),
            (self.width, self.width),
            (self.width, self.inner),
            (self.inner, self.width),
        ]


def linear_operations(numbers: Numbers) -> int:
    """Multiplications and additions of an image's tokens in the Linears of all blocks, counted separately."""
    return 2 * numbers.layers * numbers.tokens * sum(rows * columns for rows, columns in numbers.linears)


def products_alone(numbers: Numbers, batch: int, device: torch.device, dtype: torch.dtype) -> Callable[[], None]:
    """The Linears of all blocks, and nothing else: the fastest that this machine could go."""

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, device=device, dtype=dtype)

    rows = batch * numbers.tokens
    products = [(random(rows, inputs), random(outputs, inputs)) for inputs, outputs in numbers.linears]

    @torch.inference_mode()
    def call() -> None:
        for _ in range(numbers.layers):
            for tokens, weights in products:
                functional.linear(tokens, weights)

    return call
