"""Models small enough to test by the dozen."""

from typing import Any

import torch
from torch import Tensor, nn

from vit_hf import SwinTransformerConfig, TimeSformerConfig, VisionTransformerConfig

TINY = {
    "image_size": 32,
    "patch_size": 8,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "num_labels": 5,
}


TINY_SWIN = {
    "image_size": 32,
    "patch_size": 2,
    "embed_dim": 8,
    "depths": [2, 2],
    "num_heads": [2, 2],
    "window_size": 4,
    "mlp_ratio": 1.5,
    "drop_path_rate": 0.0,
    "num_labels": 5,
}


def tiny_config(**fields) -> VisionTransformerConfig:
    """16 patches of 8 x 8 pixels, two layers of width 32, five labels; or as the fields say."""
    if "id2label" in fields:
        fields["num_labels"] = len(fields["id2label"])
    return VisionTransformerConfig(**{**TINY, **fields})


def tiny(model_class, **fields) -> Any:
    """A tiny model in evaluation, no parameter of which is left at a zero or one that could hide a mistake.

    Any, because torch declares each part of a model as a tensor or a module, and tests look into parts of parts.
    """
    return shaken(model_class(tiny_config(**fields))).eval()


def tiny_swin_config(**fields) -> SwinTransformerConfig:
    """16 x 16 patches in 16 windows, then 8 x 8 in four, twice as wide; or as the fields say."""
    if "id2label" in fields:
        fields["num_labels"] = len(fields["id2label"])
    return SwinTransformerConfig(**{**TINY_SWIN, **fields})


def tiny_swin(model_class, **fields) -> Any:
    """As `tiny`, of the Swin family."""
    return shaken(model_class(tiny_swin_config(**fields))).eval()


# What makes a Swin Transformer one of Swin V2.
V2 = {"block": "post_norm", "attention": "cosine", "position_bias": "continuous"}


def tiny_clip_config(**fields) -> TimeSformerConfig:
    """As `tiny_config`, of four frames."""
    if "id2label" in fields:
        fields["num_labels"] = len(fields["id2label"])
    return TimeSformerConfig(**{**TINY, "num_frames": 4, **fields})


def tiny_timesformer(model_class, **fields) -> Any:
    """As `tiny`, of the TimeSformer family."""
    return shaken(model_class(tiny_clip_config(**fields))).eval()


def shaken(model: nn.Module, by: float = 0.1) -> nn.Module:
    """The model with a little noise on every parameter."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(by * torch.randn_like(parameter))
    return model


def images(batch: int = 2, height: int = 32, width: int = 32, channels: int = 3) -> Tensor:
    return torch.randn(batch, channels, height, width)


def clips(batch: int = 2, frames: int = 4, height: int = 32, width: int = 32, channels: int = 3) -> Tensor:
    return torch.randn(batch, frames, channels, height, width)
