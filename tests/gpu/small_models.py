"""Small models of every family with everything real in them: heads of 32 and 64, shifted windows of 49, clips."""

from collections.abc import Callable
from typing import Any

import torch
from tiny import V2, shaken
from torch import Tensor

from vit_hf import (
    SwinTransformerConfig,
    SwinTransformerForImageClassification,
    TimeSformerConfig,
    TimeSformerForVideoClassification,
    VisionTransformerConfig,
    VisionTransformerForImageClassification,
)

LABELS = 10
VIT = {
    "image_size": 64,
    "patch_size": 8,
    "hidden_size": 192,
    "num_hidden_layers": 3,
    "num_attention_heads": 3,
    "intermediate_size": 384,
    "num_labels": LABELS,
}
SWIN = {
    "image_size": 56,
    "embed_dim": 64,
    "depths": [2, 2],
    "num_heads": [2, 4],
    "drop_path_rate": 0.0,
    "num_labels": LABELS,
}
CLIPS = {
    "image_size": 32,
    "patch_size": 8,
    "num_frames": 4,
    "hidden_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 256,
    "num_labels": LABELS,
}


def vit(**fields: Any) -> Any:
    return VisionTransformerForImageClassification(VisionTransformerConfig(**{**VIT, **fields}))


def swin(**fields: Any) -> Any:
    return SwinTransformerForImageClassification(SwinTransformerConfig(**{**SWIN, **fields}))


def timesformer(**fields: Any) -> Any:
    return TimeSformerForVideoClassification(TimeSformerConfig(**{**CLIPS, **fields}))


KINDS: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "vit": (vit, {}),
    "vit_mean": (vit, {"class_token": False, "pooling": "mean"}),
    "vit_rotary": (vit, {"position_embedding": "rotary", "num_register_tokens": 4, "qk_norm": True}),
    "vit_relative_bias": (vit, {"position_embedding": "relative_bias", "layer_scale_init_value": 0.1}),
    "swin": (swin, {}),
    "swin_v2": (swin, V2),
    "timesformer": (timesformer, {}),
    "timesformer_space_only": (timesformer, {"attention_type": "space_only"}),
}
# One of each family, where more would only take longer.
FAMILIES = ("vit", "swin", "swin_v2", "timesformer")


def model_of(kind: str, device: torch.device | str = "cpu", **fields: Any) -> Any:
    """In evaluation, the same weights every time, none of which is left at a zero that could hide a mistake."""
    build, own = KINDS[kind]
    torch.manual_seed(0)
    return shaken(build(**{**own, **fields}), by=0.05).eval().to(device)


def inputs_of(model: Any, batch: int = 4, *, seed: int = 0, device: torch.device | str = "cpu") -> dict[str, Tensor]:
    """pixel_values b (t) c h w, labels b: numbers drawn on the CPU, and so the same on every device"""
    numbers, config = torch.Generator().manual_seed(seed), model.config
    frames = [config.num_frames] if hasattr(config, "num_frames") else []
    pixels = torch.randn(batch, *frames, 3, config.image_size, config.image_size, generator=numbers)
    labels = torch.randint(LABELS, (batch,), generator=numbers)
    return {"pixel_values": pixels.to(device), "labels": labels.to(device)}


def gradients(model: Any, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """Of the loss, by the name of the parameter."""
    model.zero_grad()
    model(**inputs).loss.backward()
    return {name: parameter.grad.detach().clone() for name, parameter in model.named_parameters()}


def off_by_norm(found: Tensor, expected: Tensor) -> float:
    """‖found - expected‖ / ‖expected‖, in double precision"""
    wanted = expected.detach().double().cpu()
    return ((found.detach().double().cpu() - wanted).norm() / wanted.norm()).item()


def off_by_most(found: Tensor, expected: Tensor) -> float:
    """The largest difference over the largest value, in double precision"""
    wanted = expected.detach().double().cpu()
    return ((found.detach().double().cpu() - wanted).abs().max() / wanted.abs().max()).item()
