"""The sizes of plain models, and the matrix products that are nearly all of their arithmetic."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch
from torch import Tensor
from torch.nn import functional

Product = tuple[int, int, int]  # rows of an image, inputs, outputs


class Counted(Protocol):
    """The size of a model."""

    @property
    def shape(self) -> tuple[int, ...]:
        """c h w of an image, or t c h w of a clip."""
        ...

    @property
    def products(self) -> list[Product]:
        """The Linears of all blocks, in order."""
        ...


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
    def shape(self) -> tuple[int, ...]:
        return (3, self.side, self.side)

    @property
    def tokens(self) -> int:
        return (self.side // self.patch) ** 2 + 1

    @property
    def products(self) -> list[Product]:
        return block_products(self.tokens, self.tokens, self.width, self.inner) * self.layers


@dataclass(frozen=True)
class SwinNumbers:
    """The size of a Swin Transformer; sides of images and patches in pixels, of windows in patches.

    version: 2 of Swin V2, whose MLPs for biases are not counted: they run once a call, whatever the images in it.
    """

    width: int
    depths: tuple[int, ...]
    heads: tuple[int, ...]
    window: int = 7
    ratio: float = 4.0
    patch: int = 4
    side: int = 224
    labels: int = 1000
    version: Literal[1, 2] = 1

    @classmethod
    def of(cls, fields: dict[str, Any], side: int) -> "SwinNumbers":
        """From the config fields of a named size."""
        return cls(
            fields["embed_dim"],
            tuple(fields["depths"]),
            tuple(fields["num_heads"]),
            window=fields.get("window_size", cls.window),
            side=side,
            version=2 if fields.get("attention") == "cosine" else 1,
        )

    @property
    def shape(self) -> tuple[int, ...]:
        return (3, self.side, self.side)

    @property
    def stages(self) -> list[tuple[int, int, int, int]]:
        """(side of the grid, side of a window, that of the padded grid, width) of each stage."""
        found, grid = [], -(-self.side // self.patch)
        for stage in range(len(self.depths)):
            window = min(self.window, grid)
            found.append((grid, window, -(-grid // window) * window, self.width * 2**stage))
            grid = -(-grid // 2)
        return found

    @property
    def products(self) -> list[Product]:
        found: list[Product] = []
        for stage, (grid, _, padded, width) in enumerate(self.stages):
            found += [(grid**2, 2 * width, width)] * (stage > 0)
            found += block_products(padded**2, grid**2, width, int(width * self.ratio)) * self.depths[stage]
        return found


@dataclass(frozen=True)
class ClipNumbers(Numbers):
    """The size of a TimeSformer with attention divided over space and time; sides in pixels."""

    frames: int = 8

    @classmethod
    def of(cls, fields: dict[str, Any], side: int) -> "ClipNumbers":
        names = {"width": "hidden_size", "heads": "num_attention_heads", "inner": "intermediate_size"}
        sizes = {name: fields[field] for name, field in names.items()}
        return cls(**sizes, layers=12, patch=16, side=side, frames=fields.get("num_frames", cls.frames))

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.frames, 3, self.side, self.side)

    @property
    def products(self) -> list[Product]:
        over_time, width = self.frames * (self.tokens - 1), self.width
        temporal = [(over_time, width, 3 * width), (over_time, width, width), (over_time, width, width)]
        space = block_products(self.frames * self.tokens, 1 + over_time, width, self.inner)
        return (temporal + space) * self.layers


def block_products(attended: int, tokens: int, width: int, inner: int) -> list[Product]:
    """Of a block: queries, keys and values; projection; up; down. attended: rows, padding of windows included."""
    return [
        (attended, width, 3 * width),
        (attended, width, width),
        (tokens, width, inner),
        (tokens, inner, width),
    ]


def linear_operations(numbers: Counted) -> int:
    """Multiplications and additions of an image's tokens in the Linears of all blocks, counted separately."""
    return 2 * sum(rows * inputs * outputs for rows, inputs, outputs in numbers.products)


def products_alone(numbers: Counted, batch: int, device: torch.device, dtype: torch.dtype) -> Callable[[], None]:
    """The Linears of all blocks, and nothing else: the fastest that this machine could go."""

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, device=device, dtype=dtype)

    sizes = dict.fromkeys(numbers.products)
    operands = {(r, i, o): (random(batch * r, i), random(o, i)) for r, i, o in sizes}
    products = [operands[size] for size in numbers.products]

    @torch.inference_mode()
    def call() -> None:
        for tokens, weights in products:
            functional.linear(tokens, weights)

    return call
