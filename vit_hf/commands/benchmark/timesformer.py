"""The size of a TimeSformer, and the same one built by each library that is installed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from torch import nn

from ...models.configuration_timesformer import TimeSformerConfig
from ...models.modeling_timesformer import TimeSformerForVideoClassification
from .operations import Benchmarked, Product, block_products, side_in_pixels
from .peers import OURS, Logits
from .vit import Numbers, config_fields

MERGED = f"{OURS}, merged"  # for inference alone


@dataclass(frozen=True)
class ClipNumbers(Numbers):
    """The size of a TimeSformer with attention divided over space and time; sides in pixels."""

    frames: int = 8

    @classmethod
    def of(cls, fields: Mapping[str, Any], side: int | None = None) -> "ClipNumbers":
        names = {"width": "hidden_size", "heads": "num_attention_heads", "inner": "intermediate_size"}
        sizes = {name: fields[field] for name, field in names.items()}
        return cls(
            **sizes, layers=12, patch=16, side=side_in_pixels(fields, side), frames=fields.get("num_frames", cls.frames)
        )

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.frames, 3, self.side, self.side)

    @property
    def products(self) -> list[Product]:
        over_time, width = self.frames * (self.tokens - 1), self.width
        temporal = [(over_time, width, 3 * width), (over_time, width, width), (over_time, width, width)]
        space = block_products(self.frames * self.tokens, 1 + over_time, width, self.inner)
        return (temporal + space) * self.layers


def clip_fields(numbers: ClipNumbers) -> dict[str, Any]:
    """The numbers in the words that transformers' configuration and ours share; theirs has one form of attention."""
    shared = {name: value for name, value in config_fields(numbers).items() if name != "attn_implementation"}
    return {**shared, "num_frames": numbers.frames}


def build_ours(numbers: ClipNumbers) -> Logits:
    return Logits(TimeSformerForVideoClassification(TimeSformerConfig(**clip_fields(numbers))))


def build_merged(numbers: ClipNumbers) -> nn.Module:
    """Two Linears after attention over time as one, which is the same function for inference."""
    model: Any = TimeSformerForVideoClassification(TimeSformerConfig(**clip_fields(numbers)))
    return Logits(model.merge_temporal_projections())


def build_transformers(numbers: ClipNumbers) -> nn.Module:
    from transformers import TimesformerConfig, TimesformerForVideoClassification

    return Logits(TimesformerForVideoClassification(TimesformerConfig(**clip_fields(numbers))))


def build_lucidrains(numbers: ClipNumbers) -> nn.Module:
    """Not quite the same: its feed-forward has a gate, which is half as much again, and no projection of time."""
    return import_module("timesformer_pytorch").TimeSformer(
        dim=numbers.width,
        num_frames=numbers.frames,
        num_classes=numbers.labels,
        image_size=numbers.side,
        patch_size=numbers.patch,
        depth=numbers.layers,
        heads=numbers.heads,
        dim_head=numbers.width // numbers.heads,
        rotary_emb=False,
    )


BUILDERS: dict[str, Callable[[ClipNumbers], nn.Module]] = {
    OURS: build_ours,
    MERGED: build_merged,
    "transformers": build_transformers,
    "timesformer-pytorch": build_lucidrains,
}
BENCHMARKED = Benchmarked(ClipNumbers.of, BUILDERS, usual=["b"], for_inference=[MERGED])
