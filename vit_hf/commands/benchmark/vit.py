"""The size of a plain Vision Transformer, and the same one built by each library that is installed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from torch import nn

from ...models.configuration_vit import VisionTransformerConfig
from ...models.modeling_vit import VisionTransformerForImageClassification
from .operations import Benchmarked, Product, block_products, side_in_pixels
from .peers import OURS, Logits


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
    def of(cls, fields: Mapping[str, Any], side: int | None = None) -> "Numbers":
        """From the config fields of a named size."""
        return cls(
            width=fields["hidden_size"],
            layers=fields["num_hidden_layers"],
            heads=fields["num_attention_heads"],
            inner=fields["intermediate_size"],
            patch=fields["patch_size"],
            side=side_in_pixels(fields, side),
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


def config_fields(numbers: Numbers) -> dict[str, Any]:
    """The numbers in the words that transformers' configurations and ours share."""
    return {
        "image_size": numbers.side,
        "patch_size": numbers.patch,
        "hidden_size": numbers.width,
        "num_hidden_layers": numbers.layers,
        "num_attention_heads": numbers.heads,
        "intermediate_size": numbers.inner,
        "num_labels": numbers.labels,
        "attn_implementation": "sdpa",
    }


def build_ours(numbers: Numbers) -> Logits:
    return Logits(VisionTransformerForImageClassification(VisionTransformerConfig(**config_fields(numbers))))


def build_transformers(numbers: Numbers) -> nn.Module:
    from transformers import ViTConfig, ViTForImageClassification

    return Logits(ViTForImageClassification(ViTConfig(**config_fields(numbers))))


def build_timm(numbers: Numbers) -> nn.Module:
    return import_module("timm.models.vision_transformer").VisionTransformer(
        img_size=numbers.side,
        patch_size=numbers.patch,
        embed_dim=numbers.width,
        depth=numbers.layers,
        num_heads=numbers.heads,
        mlp_ratio=numbers.inner / numbers.width,
        num_classes=numbers.labels,
    )


def build_vit_pytorch(numbers: Numbers) -> nn.Module:
    return import_module("vit_pytorch").ViT(
        image_size=numbers.side,
        patch_size=numbers.patch,
        dim=numbers.width,
        depth=numbers.layers,
        heads=numbers.heads,
        dim_head=numbers.width // numbers.heads,
        mlp_dim=numbers.inner,
        num_classes=numbers.labels,
    )


BUILDERS: dict[str, Callable[[Numbers], nn.Module]] = {
    OURS: build_ours,
    "transformers": build_transformers,
    "timm": build_timm,
    "vit-pytorch": build_vit_pytorch,
}
BENCHMARKED = Benchmarked(Numbers.of, BUILDERS, usual=["ti", "s", "b"])
