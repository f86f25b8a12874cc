"""The same TimeSformer, built by each library that is installed."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

from torch import nn

from ...models.configuration_timesformer import TimeSformerConfig
from ...models.modeling_timesformer import TimeSformerForVideoClassification
from .operations import ClipNumbers
from .peers import OURS, Logits, config_fields

MERGED = f"{OURS}, merged"  # for inference alone


def clip_fields(numbers: ClipNumbers) -> dict[str, Any]:
    """The numbers in the words that transformers' configuration and ours share; theirs has one form of attention."""
    shared = {name: value for name, value in config_fields(numbers).items() if name != "attn_implementation"}
    return {**shared, "num_frames": numbers.frames}


def build_ours(numbers: ClipNumbers) -> Logits:
    return Logits(TimeSformerForVideoClassification(TimeSformerConfig(**clip_fields(numbers))))


def build_merged(numbers: ClipNumbers) -> nn.Module:
    """Two Linears after attention over time as one, which is the same function for inference."""
    model = TimeSformerForVideoClassification(TimeSformerConfig(**clip_fields(numbers)))
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
