"""The size of a Swin Transformer, and the same one, or Swin V2, built by each library that is installed."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

from torch import nn

from ...conversion.core.swin_rules import V2_WORDS
from ...models.configuration_swin import SwinTransformerConfig
from ...models.modeling_swin import SwinTransformerForImageClassification
from .operations import Benchmarked, Product, block_products, side_in_pixels
from .peers import OURS, Logits

RATE = 0.2  # of stochastic depth in training, the same in all of them


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
    def of(cls, fields: Mapping[str, Any], side: int | None = None) -> "SwinNumbers":
        """From the config fields of a named size."""
        return cls(
            fields["embed_dim"],
            tuple(fields["depths"]),
            tuple(fields["num_heads"]),
            window=fields.get("window_size", cls.window),
            side=side_in_pixels(fields, side),
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


def config_fields(numbers: SwinNumbers) -> dict:
    """The numbers in the words that transformers' configuration and ours share."""
    return {
        "image_size": numbers.side,
        "patch_size": numbers.patch,
        "embed_dim": numbers.width,
        "depths": list(numbers.depths),
        "num_heads": list(numbers.heads),
        "window_size": numbers.window,
        "mlp_ratio": numbers.ratio,
        "drop_path_rate": RATE,
        "num_labels": numbers.labels,
        "attn_implementation": "sdpa",
    }


def build_ours(numbers: SwinNumbers) -> nn.Module:
    words: dict[str, Any] = V2_WORDS if numbers.version == 2 else {}
    return Logits(SwinTransformerForImageClassification(SwinTransformerConfig(**config_fields(numbers), **words)))


def build_transformers(numbers: SwinNumbers) -> nn.Module:
    import transformers

    if numbers.version == 1:
        return Logits(transformers.SwinForImageClassification(transformers.SwinConfig(**config_fields(numbers))))
    fields = {**config_fields(numbers), "attn_implementation": "eager"}  # its only one
    return Logits(transformers.Swinv2ForImageClassification(transformers.Swinv2Config(**fields)))


def build_timm(numbers: SwinNumbers) -> nn.Module:
    arguments = {
        "img_size": numbers.side,
        "patch_size": numbers.patch,
        "embed_dim": numbers.width,
        "depths": numbers.depths,
        "num_heads": numbers.heads,
        "window_size": numbers.window,
        "mlp_ratio": numbers.ratio,
        "drop_path_rate": RATE,
        "num_classes": numbers.labels,
    }
    if numbers.version == 1:
        return import_module("timm.models.swin_transformer").SwinTransformer(**arguments)
    return import_module("timm.models.swin_transformer_v2").SwinTransformerV2(**arguments)


BUILDERS = {OURS: build_ours, "transformers": build_transformers, "timm": build_timm}
BENCHMARKED = Benchmarked(SwinNumbers.of, BUILDERS, usual=["t"])
