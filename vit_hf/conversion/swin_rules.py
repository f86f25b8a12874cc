"""The weights of other libraries' Swin Transformers and ours: one table, with the names that each has for them."""

from dataclasses import dataclass, replace
from functools import partial

from torch import Tensor
from torch.nn import functional

from ..models.configuration_swin import SwinTransformerConfig
from ..models.shapes import pair as both
from .rules import Table, dropped, pair, patch_kernel, query_key_value, same, under, weight_and_bias

Window = tuple[int, int]


@dataclass(frozen=True)
class Names:
    """What a library calls the parts; `{stage}` and `{block}` stand for numbers, `{part}` for q, k and v.

    merges_last: whether patches are merged at the end of a stage, for the next one.
    buffers: what it may have beside weights in each block.
    """

    patches: str
    patch_norm: str
    positions: str
    block: str
    norms: tuple[str, str]
    qkv: str
    output: str
    bias: str
    merge: str
    norm: str
    head: str
    merges_last: bool
    buffers: tuple[str, ...] = ()


TIMM = Names(
    patches="patch_embed.proj",
    patch_norm="patch_embed.norm",
    positions="absolute_pos_embed",
    block="layers.{stage}.blocks.{block}",
    norms=("norm1", "norm2"),
    qkv="attn.qkv",
    output="attn.proj",
    bias="attn.relative_position_bias_table",
    merge="layers.{stage}.downsample",
    norm="norm",
    head="head.fc",
    merges_last=False,
    buffers=("attn.relative_position_index", "attn_mask"),
)
MICROSOFT = replace(TIMM, head="head", merges_last=True)
TRANSFORMERS = Names(
    patches="embeddings.patch_embeddings.projection",
    patch_norm="embeddings.norm",
    positions="embeddings.position_embeddings",
    block="encoder.layers.{stage}.blocks.{block}",
    norms=("layernorm_before", "layernorm_after"),
    qkv="attention.{part}_proj",
    output="attention.o_proj",
    bias="attention.relative_position_bias.relative_position_bias_table",
    merge="encoder.layers.{stage}.downsample",
    norm="layernorm",
    head="classifier",
    merges_last=True,
)


def clamped_windows(config: SwinTransformerConfig) -> list[Window]:
    """Of each stage, for images of the configured size: no larger than its grid."""
    rows, columns = config.patch_grid
    window, windows = both(config.window_size), []
    for _ in config.depths:
        windows.append((min(window[0], rows), min(window[1], columns)))
        rows, columns = -(-rows // 2), -(-columns // 2)
    return windows


def trunk_table(names: Names, config: SwinTransformerConfig, windows: list[Window]) -> Table:
    """For our `SwinTransformerModel`. windows: those that their tables of biases are for, of each stage."""
    table = [
        patch_kernel(
            f"{names.patches}.weight",
            "embeddings.patches.projection.weight",
            config.patch_embedding,
            channels=config.num_channels,
            patch_size=config.patch_size,
        ),
        pair(f"{names.patches}.bias", "embeddings.patches.projection.bias"),
        *weight_and_bias(names.patch_norm, "embeddings.norm"),
        pair(names.positions, "embeddings.positions.table"),
        *weight_and_bias(names.norm, "norm"),
    ]
    for stage, (depth, window) in enumerate(zip(config.depths, windows, strict=True)):
        if stage:
            merge = names.merge.format(stage=stage - names.merges_last)
            table += weight_and_bias(f"{merge}.norm", f"stages.{stage}.merge.norm")
            table.append(pair(f"{merge}.reduction.weight", f"stages.{stage}.merge.reduction.weight"))
        for block in range(depth):
            place = names.block.format(stage=stage, block=block)
            rules = block_table(names, window, both(config.window_size))
            table += under(rules, theirs=f"{place}.", ours=f"stages.{stage}.layers.{block}.")
    return table


def block_table(names: Names, window: Window, whole: Window) -> Table:
    if "{part}" in names.qkv:
        qkv = query_key_value(names.qkv, "attention.qkv")
    else:
        qkv = weight_and_bias(names.qkv, "attention.qkv")
    widened, cropped = (
        (same, same) if window == whole else (partial(widen, window, whole), partial(crop, window, whole))
    )
    return [
        *weight_and_bias(names.norms[0], "attention_norm"),
        *qkv,
        pair(names.bias, "attention.relative_bias.table", widened, cropped),
        *weight_and_bias(names.output, "attention.output"),
        *weight_and_bias(names.norms[1], "feed_forward_norm"),
        *weight_and_bias("mlp.fc1", "feed_forward.inner"),
        *weight_and_bias("mlp.fc2", "feed_forward.outer"),
        *(dropped(buffer, "it follows from the sizes") for buffer in names.buffers),
    ]


def steps(window: Window) -> Window:
    return 2 * window[0] - 1, 2 * window[1] - 1


def widen(window: Window, whole: Window, table: Tensor) -> Tensor:
    """(steps of `window`) heads -> (steps of `whole`) heads: zeros for steps that no pair of tokens is apart."""
    down, right = whole[0] - window[0], whole[1] - window[1]
    return functional.pad(table.unflatten(0, steps(window)), (0, 0, right, right, down, down)).flatten(0, 1)


def crop(window: Window, whole: Window, table: Tensor) -> Tensor:
    """(steps of `whole`) heads -> (steps of `window`) heads: the inverse."""
    down, right = whole[0] - window[0], whole[1] - window[1]
    rows, columns = steps(whole)
    return table.unflatten(0, (rows, columns))[down : rows - down, right : columns - right].flatten(0, 1)


def window_of_table(rows: int) -> int:
    """The side of the square window whose table has so many rows. Raises: ValueError where there is none."""
    side = (int(rows**0.5) + 1) // 2
    if (2 * side - 1) ** 2 != rows:
        raise ValueError(f"A table of {rows} biases is that of no square window; windows must be squares here.")
    return side
