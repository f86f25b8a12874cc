"""Microsoft's files of Swin Transformers, as ours."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import Tensor

from ..models.configuration_swin import SwinTransformerConfig
from .deriving import Found, as_size, depth_of
from .preprocessing import MEAN, STD
from .rules import Table, weight_and_bias
from .swin_rules import MICROSOFT, TIMM, Names, clamped_windows, trunk_table, window_of_table

ANCHOR = "layers.0.blocks.0.attn.relative_position_bias_table"
BIAS = "layers.{}.blocks.0.attn.relative_position_bias_table"
# Resized to 256 / 224 of the size, of which the middle is cut out; timm's copies of the files agree.
IMAGES = {"mean": MEAN, "std": STD, "crop_pct": 0.875, "interpolation": "bicubic"}


def find_swin(state: Mapping[str, Tensor], said: Mapping[str, Any]) -> Found:
    """All but the size of images lies in the weights, or is said.

    Raises: ValueError for Swin V2, whose biases are made in another way, and for windows that are not squares.
    """
    names = TIMM if "head.fc.weight" in state or "layers.1.downsample.reduction.weight" not in state else MICROSOFT
    if "layers.0.downsample.reduction.weight" in state:
        names = MICROSOFT
    width, channels, *patch = state["patch_embed.proj.weight"].shape
    stages = depth_of(state, "layers.")
    tables = [state[BIAS.format(stage)].shape for stage in range(stages)]
    words = {
        "patch_size": as_size(patch[0], patch[1]),
        "num_channels": channels,
        "embed_dim": width,
        "depths": [depth_of(state, f"layers.{stage}.blocks.") for stage in range(stages)],
        "num_heads": [heads for _, heads in tables],
        "window_size": max(window_of_table(rows) for rows, _ in tables),
        "mlp_ratio": state["layers.0.blocks.0.mlp.fc1.weight"].shape[0] / width,
        "qkv_bias": "layers.0.blocks.0.attn.qkv.bias" in state,
        "patch_norm": "patch_embed.norm.weight" in state,
        "ape": "absolute_pos_embed" in state,
    }
    notes: list[str] = []
    if "image_size" not in said:
        # Windows of the last stage cover it in every published model.
        side = words["window_size"] * patch[0] * 2 ** (stages - 1)
        words["image_size"] = side
        notes.append(f"image_size={side} is assumed, of which the last stage is one window; say it where it is another")
    head = state.get(f"{names.head}.weight")
    if head is not None:
        words["num_labels"] = head.shape[0]
    rules = None if head is None else weight_and_bias(names.head, "classifier")
    return Found(state, words, partial(table_of, names), rules, notes, IMAGES, family="swin")


def table_of(names: Names, config: SwinTransformerConfig) -> Table:
    return trunk_table(names, config, clamped_windows(config))
