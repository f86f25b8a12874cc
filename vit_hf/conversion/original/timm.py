"""Files whose keys are timm's or nearly so, as ours: DeiT, DeiT III, MAE, DINO and DINOv2."""

import re
from collections.abc import Mapping
from copy import copy
from functools import partial
from math import isqrt
from typing import Any

from torch import Tensor

from ...errors import UserError, first_few
from ...models.configuration_vit import VisionTransformerConfig
from ..core.checkpoint_files import Tensors
from ..core.infer_config import Found, as_size, depth_of, image_size_of, number_of_heads, with_plain_head
from ..core.preprocessing import MEAN, STD
from ..core.rules import Rule, Table, dropped, mapped, weight_and_bias
from ..timm.vit_rules import fold_registers, timm_table

ANCHOR = "blocks.0.attn.qkv.weight"
# LayerScale under the names of DeiT III, registers under those of DINOv2.
RENAMED = {r"\.gamma_(\d)$": r".ls\1.gamma", r"^register_tokens$": "reg_token"}
# What was needed in pre-training alone.
BESIDE = {
    r"^(decoder_.*|mask_token)$": "it paints or hides patches in pre-training",
    r"^head\.(mlp|last_layer|net)\..*": "it is the projection of DINO's pre-training",
    r"^(dino_loss|ibot_patch_loss|dino_head|ibot_head)\..*": "it is a loss of pre-training",
}
# Resized to 256 / 224 of the size, of which the middle is cut out.
IMAGES = {"mean": MEAN, "std": STD, "crop_pct": 0.875, "interpolation": "bicubic"}
GATED = "blocks.0.mlp.w12.weight"


def find_timm(state: Mapping[str, Tensor], said: Mapping[str, Any]) -> Found:
    """Raises: UserError for a gated feed-forward, and for two heads whose mean none of our models takes."""
    notes: list[str] = []
    if GATED in state:
        raise UserError(f"The weights hold {GATED}, a gated feed-forward (SwiGLU), which has no form in our words.")
    state = renamed(state)
    beside = {key: reason for pattern, reason in BESIDE.items() for key in state if re.match(pattern, key)}
    notes += [
        f"{first_few([key for key in beside if beside[key] == reason])} left out: {reason}"
        for reason in sorted(set(beside.values()))
    ]
    distilled = "dist_token" in state
    width, channels, *sides = state["patch_embed.proj.weight"].shape
    state = with_plain_head(state, "head", width, notes)
    patch_size = (sides[0], sides[1])
    first = int("cls_token" in state)
    rows = state["pos_embed"].shape[1] - int(distilled)
    without_class = first and is_without_class(rows, patch_size, said.get("image_size"))
    registers = state["reg_token"].shape[1] if "reg_token" in state else 0
    words = {
        "image_size": image_size_of(rows - (0 if without_class else first), patch_size, said.get("image_size")),
        "patch_size": as_size(*patch_size),
        "num_channels": channels,
        "hidden_size": width,
        "num_hidden_layers": depth_of(state, "blocks."),
        "num_attention_heads": number_of_heads(width, said.get("num_attention_heads"), notes),
        "intermediate_size": state["blocks.0.mlp.fc1.weight"].shape[0],
        "qkv_bias": "blocks.0.attn.qkv.bias" in state,
        "qk_norm": "blocks.0.attn.q_norm.weight" in state,
        "layer_scale_init_value": 1e-5 if "blocks.0.ls1.gamma" in state else None,
        "patch_embedding": "conv",
        "class_token": bool(first),
        "num_register_tokens": registers + int(distilled),
        "pooling": "mean" if "fc_norm.weight" in state or not first else "cls",
        "final_norm": "pooled" if "fc_norm.weight" in state else "tokens",
    }
    head, table_of_heads = state.get("head.weight"), weight_and_bias("head", "classifier")
    if head is not None:
        words["num_labels"] = head.shape[0]
    if "head_dist.weight" in state:
        words["distillation_token"] = True
        table_of_heads += weight_and_bias("head_dist", "distillation_classifier")
    table = partial(
        trunk_table, no_embed_class=bool(without_class), distilled=distilled, registers=registers, beside=beside
    )
    return Found(state, words, table, None if head is None else table_of_heads, notes, IMAGES)


def renamed(state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """The same tensors under timm's names."""
    names = {}
    for key in state:
        name = key
        for pattern, replacement in RENAMED.items():
            name = re.sub(pattern, replacement, name)
        names[name] = key
    return Tensors({name: lambda key=key: state[key] for name, key in names.items()})


def is_without_class(rows: int, patch_size: tuple[int, int], said: Any) -> bool:
    """Whether the class token has no row in the table, as in DeiT III."""
    if said is not None:
        height, width = (said, said) if isinstance(said, int) else said
        return rows == (height // patch_size[0]) * (width // patch_size[1])
    return isqrt(rows) ** 2 == rows and isqrt(rows - 1) ** 2 != rows - 1


def trunk_table(
    config: VisionTransformerConfig, *, no_embed_class: bool, distilled: bool, registers: int, beside: dict[str, str]
) -> Table:
    """From their names to those of our trunk."""
    plain = copy(config)
    plain.num_register_tokens = 0
    table = timm_table(plain, no_embed_class=no_embed_class, head=False)
    if registers:  # DINOv2's have no positions
        table.append(mapped("reg_token", "embeddings.register_tokens"))
    if distilled:
        table = [folded(rule) if "pos_embed" in rule.theirs else rule for rule in table]
    return [*table, *(dropped(key, reason) for key, reason in beside.items())]


def folded(rule: Rule) -> Rule:
    """The distillation token is a register that has a position, which ours adds once and for all."""
    change = partial(fold_registers, first=1, registers=1)
    return Rule(("dist_token", *rule.theirs), ("embeddings.register_tokens", *rule.ours), change)
