"""timm's SwinTransformer and SwinTransformerV2 and ours, both ways."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import UserError, require_library
from ...families.base import State
from ...models.configuration_swin import SwinTransformerConfig
from ...models.modeling_swin import SwinTransformerForImageClassification, SwinTransformerModel
from ..core.parity import Outputs, Runnable
from ..core.rules import Table, turned, under, weight_and_bias
from ..core.swin_rules import TIMM, TIMM_V2, V2_WORDS, clamped_windows, trunk_table, version_of
from ..core.weights import fill
from .vit_config import int_or_pair, kind

NAMES = ("SwinTransformer", "SwinTransformerV2")
ARCHITECTURE = "swin_tiny_patch4_window7_224"
ARCHITECTURE_V2 = "swinv2_tiny_window8_256"
EPS = 1e-5  # of all norms of what timm builds under these names


def table_for(config: SwinTransformerConfig, *, head: bool) -> Table:
    table = trunk_table(TIMM if version_of(config) == 1 else TIMM_V2, config, clamped_windows(config))
    return [*under(table, ours="swin."), *weight_and_bias(TIMM.head, "classifier")] if head else table


def unsupported_features(model: Any) -> Iterator[str]:
    """What our words cannot say of a live SwinTransformer or SwinTransformerV2 of timm."""
    blocks = [block for stage in model.layers for block in stage.blocks]
    widths = [stage.blocks[0].norm1.normalized_shape[0] for stage in model.layers]
    if widths != [widths[0] * 2**number for number in range(len(widths))]:
        yield f"stages of widths {widths}, which do not double"
    if any(block.attn.qkv.out_features != 3 * block.dim for block in blocks):
        yield "head_dim other than width / heads"
    if len(ratios := {block.mlp.fc1.out_features / block.dim for block in blocks}) > 1:
        yield f"mlp_ratio={sorted(ratios)}, other in each stage"
    if kinds := sorted({kind(block.mlp.act) for block in blocks} - {"GELU"}):
        yield f"act_layer={kinds[0]}"
    norms = [module for module in model.modules() if "Norm" in kind(module)]
    if others := sorted({kind(norm) for norm in norms} - {"LayerNorm"}):
        yield f"norm_layer={others[0]}"
    elif len(eps := {norm.eps for norm in norms}) > 1:
        yield f"norms with different eps ({', '.join(f'{one:g}' for one in sorted(eps))})"
    if model.global_pool not in ("", "avg"):
        yield f"global_pool={model.global_pool!r}"


def config_from(model: Any) -> SwinTransformerConfig:
    """Raises: UserError that names what our words cannot say."""
    if reasons := list(unsupported_features(model)):
        raise UserError(f"This model of timm has no form in our words: {'; '.join(reasons)}.")
    patches, block = model.patch_embed, model.layers[0].blocks[0]
    windows = [stage.blocks[0].window_size for stage in model.layers]
    config = SwinTransformerConfig(
        image_size=int_or_pair(patches.img_size or model.pretrained_cfg["input_size"][1:]),
        patch_size=int_or_pair(patches.patch_size),
        num_channels=patches.proj.in_channels,
        embed_dim=block.dim,
        depths=[len(stage.blocks) for stage in model.layers],
        num_heads=[stage.blocks[0].attn.num_heads for stage in model.layers],
        window_size=int_or_pair(tuple(max(sides) for sides in zip(*windows, strict=True))),
        mlp_ratio=block.mlp.fc1.out_features / block.dim,
        **(v2_words(model) if kind(model) == "SwinTransformerV2" else {"qkv_bias": block.attn.qkv.bias is not None}),
        hidden_dropout_prob=block.attn.proj_drop.p,
        attention_probs_dropout_prob=block.attn.attn_drop.p,
        drop_path_rate=getattr(model.layers[-1].blocks[-1].drop_path1, "drop_prob", 0.0),
        layer_norm_eps=block.norm1.eps,
        patch_norm=kind(patches.norm) != "Identity",
        num_labels=model.num_classes,  # pyright: ignore[reportCallIssue] (a property of transformers)
    )
    if windows != (own := clamped_windows(config)):
        raise UserError(
            f"This model of timm has no form in our words: its windows of {windows} patches are not {own}, those of "
            "one size, cut down to the grids of the stages."
        )
    covered = zip(clamped_windows(config), grids(config), model.layers, strict=True)
    for window, grid, stage in covered:
        shift = stage.blocks[-1].target_shift_size if len(stage.blocks) > 1 else (0, 0)
        own_shift = tuple(side // 2 if side < reach else 0 for side, reach in zip(window, grid, strict=True))
        if len(stage.blocks) > 1 and tuple(stage.blocks[1].shift_size) != own_shift:
            raise UserError(
                f"This model of timm has no form in our words: a stage of {grid} patches shifts its windows by "
                f"{shift}, as always_partition=True makes it."
            )
    return config


def v2_words(model: Any) -> dict[str, Any]:
    learned = [stage.blocks[0].attn.pretrained_window_size for stage in model.layers]
    if any(rows != columns for rows, columns in learned):
        raise UserError(f"This model of timm has no form in our words: pretrained_window_sizes of {learned} patches.")
    sizes = [rows for rows, _ in learned]
    return {
        **V2_WORDS,
        "qkv_bias": model.layers[0].blocks[0].attn.q_bias is not None,
        "pretrained_window_sizes": sizes if any(sizes) else None,
    }


def grids(config: SwinTransformerConfig) -> list[tuple[int, int]]:
    """The grid of each stage, for images of the configured size."""
    rows, columns = config.patch_grid
    found = []
    for _ in config.depths:
        found.append((rows, columns))
        rows, columns = -(-rows // 2), -(-columns // 2)
    return found


def takes(theirs: Any) -> bool:
    return kind(theirs) in NAMES


def to_ours(theirs: Any, state: State) -> tuple[Any, list[str]]:
    """-> our model, and what is left out."""
    config, head = config_from(theirs), theirs.global_pool != ""
    with torch.device("meta"):
        ours: Any = SwinTransformerForImageClassification(config) if head else SwinTransformerModel(config)
    fill(ours, state, table_for(config, head=head), 1)
    return ours, list(notes_on(theirs, config))


def notes_on(theirs: Any, config: SwinTransformerConfig) -> Iterator[str]:
    if dropped := getattr(theirs.head, "drop_rate", 0.0):
        yield f"drop_rate={dropped:g} (dropped in training alone) is left out"
    sides = zip(clamped_windows(config), grids(config), config.depths, strict=True)
    if any(depth > 1 and (grid[0] % window[0] or grid[1] % window[1]) for window, grid, depth in sides):
        yield (
            f"image_size={config.image_size} is padded to whole windows of {config.window_size} patches; shifted "
            "windows then differ from timm's, which rolls before it pads"
        )


def unsupported_by_timm(config: SwinTransformerConfig) -> Iterator[str]:
    if config.ape:
        yield "ape=True"
    if not config.patch_norm:
        yield "patch_norm=False"
    if config.hidden_act != "gelu":
        yield f"hidden_act={config.hidden_act!r}"
    if config.mask_padding:
        yield "mask_padding=True"
    if config.embedding_dropout_prob:
        yield f"embedding_dropout_prob={config.embedding_dropout_prob}"


def timm_arguments(config: SwinTransformerConfig, *, head: bool) -> dict[str, Any]:
    """The arguments of timm's SwinTransformer that build the same; without `head` its output are the tokens.

    Raises: UserError that names the fields that timm cannot represent.
    """
    if reasons := list(unsupported_by_timm(config)):
        raise UserError(f"timm's SwinTransformer cannot represent {'; '.join(reasons)}.")
    eps, learned = config.layer_norm_eps, config.pretrained_window_sizes
    return {
        "img_size": config.image_size,
        "patch_size": config.patch_size,
        "in_chans": config.num_channels,
        "num_classes": config.num_labels if head else 0,
        "global_pool": "avg" if head else "",
        "embed_dim": config.embed_dim,
        "depths": config.depths,
        "num_heads": config.num_heads,
        "window_size": config.window_size,
        "mlp_ratio": config.mlp_ratio,
        "qkv_bias": config.qkv_bias,
        "proj_drop_rate": config.hidden_dropout_prob,
        "attn_drop_rate": config.attention_probs_dropout_prob,
        "drop_path_rate": config.drop_path_rate,
        **({} if learned is None else {"pretrained_window_sizes": learned}),
        **({} if eps == EPS else {"norm_layer": partial(nn.LayerNorm, eps=eps)}),
    }


def to_theirs(model: Any, state: State) -> tuple[Any, list[str]]:
    """timm's SwinTransformer with the weights of ours."""
    timm, config, head = require_library("timm", "timm"), model.config, hasattr(model, "classifier")
    architecture = ARCHITECTURE if version_of(config) == 1 else ARCHITECTURE_V2
    theirs = timm.create_model(architecture, **timm_arguments(config, head=head))
    theirs.pretrained_cfg = {"architecture": architecture}
    fill(theirs, state, turned(table_for(config, head=head)), 1)
    return theirs, []


def runnable(model: Any) -> Runnable:
    def run(pixel_values: Tensor) -> Outputs:
        grid = model.forward_features(pixel_values)  # b h w d
        return Outputs(grid.flatten(1, 2), None if model.global_pool == "" else model.forward_head(grid))

    return Runnable(model, [block for stage in model.layers for block in stage.blocks], run)
