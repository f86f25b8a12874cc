"""Microsoft's files of Swin Transformers, as ours."""

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import Tensor

from ...errors import UserError, first_few
from ...models.configuration_swin import SwinTransformerConfig
from ...models.shapes import pair
from ..core.checkpoint_files import Tensors
from ..core.infer_config import Found, as_size, depth_of, with_plain_head
from ..core.preprocessing import MEAN, STD
from ..core.rules import Table, weight_and_bias
from ..core.swin_rules import (
    MICROSOFT,
    MICROSOFT_V2,
    TIMM,
    TIMM_V2,
    V2_WORDS,
    SwinNames,
    clamped_windows,
    trunk_table,
    window_of_table,
)

BIAS = "layers.{}.blocks.0.attn.relative_position_bias_table"
SCALE = "layers.{}.blocks.0.attn.logit_scale"
ANCHOR_OF_TABLES = "layers.{}.blocks.0.attn.relative_coords_table"
ANCHOR, ANCHOR_V2 = BIAS.format(0), SCALE.format(0)
# Resized to 256 / 224 of the size, of which the middle is cut out; those of 384 pixels are squeezed (TEST.CROP of
# Microsoft's configurations). timm's copies agree for Swin, and say 0.9 for Swin V2.
IMAGES = {"mean": MEAN, "std": STD, "crop_pct": 0.875, "interpolation": "bicubic"}
SQUEEZED = 384


def find_swin(state: Mapping[str, Tensor], said: Mapping[str, Any]) -> Found:
    """All but the size of images lies in the weights, or is said.

    Raises: UserError for windows that are no squares.
    """
    tables = [state[BIAS.format(stage)].shape for stage in range(depth_of(state, "layers."))]
    windows = [window_of_table(rows) for rows, _ in tables]
    words = {
        "num_heads": [heads for _, heads in tables],
        "window_size": max(windows),
        "qkv_bias": "layers.0.blocks.0.attn.qkv.bias" in state,
    }
    return found_in(state, said, words, windows[-1], MICROSOFT if merges_last(state) else TIMM)


def find_swin_v2(state: Mapping[str, Tensor], said: Mapping[str, Any]) -> Found:
    """As `find_swin`; windows, and those learned with, lie in buffers that Microsoft's files have beside the weights.

    Raises: UserError for windows that are no squares, and where the buffers are not there and nobody says window_size
        and image_size.
    """
    stages = range(depth_of(state, "layers."))
    words: dict[str, Any] = {
        **V2_WORDS,
        "num_heads": [state[SCALE.format(stage)].shape[0] for stage in stages],
        "qkv_bias": "layers.0.blocks.0.attn.q_bias" in state,
    }
    last = None
    if ANCHOR_OF_TABLES.format(0) in state:
        windows, spans = zip(*(window_and_span(state[ANCHOR_OF_TABLES.format(stage)]) for stage in stages), strict=True)
        # Windows that are said to be others are measured by those of the file.
        measured = spans != windows or "window_size" in said
        words |= {"window_size": max(windows), "pretrained_window_sizes": list(spans) if measured else None}
        last = windows[-1]
    elif silent := [word for word in ("window_size", "image_size") if word not in said]:
        raise UserError(
            f"These weights of Swin V2 have no {ANCHOR_OF_TABLES.format(0)}, which would tell their windows; say "
            f"{' and '.join(silent)}, and pretrained_window_sizes where they were learned with others."
        )
    return found_in(state, said, words, last, MICROSOFT_V2 if merges_last(state) else TIMM_V2)


def found_in(
    state: Mapping[str, Tensor], said: Mapping[str, Any], words: dict[str, Any], last: int | None, names: SwinNames
) -> Found:
    """What both have in common. last: the side of the last stage's window; None where image_size is said."""
    width, channels, *patch = state["patch_embed.proj.weight"].shape
    stages, notes = depth_of(state, "layers."), []
    state = with_plain_head(state, names.head, width * 2 ** (stages - 1), notes)
    state = with_last_norm(state, stages - 1, notes)
    words |= {
        "patch_size": as_size(patch[0], patch[1]),
        "num_channels": channels,
        "embed_dim": width,
        "depths": [depth_of(state, f"layers.{stage}.blocks.") for stage in range(stages)],
        "mlp_ratio": state["layers.0.blocks.0.mlp.fc1.weight"].shape[0] / width,
        "patch_norm": "patch_embed.norm.weight" in state,
        "ape": "absolute_pos_embed" in state,
    }
    side = pair(said["image_size"])[0] if last is None else last * patch[0] * 2 ** (stages - 1)
    if "image_size" not in said:
        # Windows of the last stage cover it in every published model.
        words["image_size"] = side
        notes.append(f"image_size={side} is assumed, of which the last stage is one window; say it where it is another")
    head = state.get(f"{names.head}.weight")
    if head is not None:
        words["num_labels"] = head.shape[0]
    rules = None if head is None else weight_and_bias(names.head, "classifier")
    images = {**IMAGES, "crop_pct": None} if side >= SQUEEZED else IMAGES
    return Found(state, words, partial(swin_table, names), rules, notes, images)


def with_last_norm(state: Mapping[str, Tensor], last: int, notes: list[str]) -> Mapping[str, Tensor]:
    """Of a backbone, which has a norm for the map of each stage (mmsegmentation's norm0 to norm3): the last is the
    model's own, and the others are left out."""
    if "norm.weight" in state or f"norm{last}.weight" not in state:
        return state
    others = [key for key in state if re.match(r"norm\d+\.", key) and not key.startswith(f"norm{last}.")]
    notes.append(
        f"norm{last} is taken for the norm of the model, and {first_few(others)} of a backbone's maps left out"
    )
    names = {key: key.replace(f"norm{last}.", "norm.", 1) if key.startswith(f"norm{last}.") else key for key in state}
    return Tensors({new: lambda key=key: state[key] for key, new in names.items() if key not in others})


def merges_last(state: Mapping[str, Tensor]) -> bool:
    """Whether these are Microsoft's names; timm's merge patches at the start of a stage, and call the head head.fc."""
    return "layers.0.downsample.reduction.weight" in state or "head.weight" in state


def window_and_span(steps: Tensor) -> tuple[int, int]:
    """1 h w 2 -> the side of a square window, and of that by which its steps are measured.

    The largest step is log2(8 (window - 1) / (span - 1) + 1) / 3. Source: Microsoft's models/swin_transformer_v2.py.
    Raises: UserError for windows that are no squares.
    """
    window = window_of_table(steps.shape[1] * steps.shape[2])
    furthest = 8.0 ** float(steps[0, -1, -1, 0]) - 1
    return window, 1 + round(8 * (window - 1) / furthest)


def swin_table(names: SwinNames, config: SwinTransformerConfig) -> Table:
    return trunk_table(names, config, clamped_windows(config))
