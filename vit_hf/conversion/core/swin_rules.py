"""The weights of other libraries' Swin Transformers and ours: one table, with the names that each has for them."""

from dataclasses import dataclass, replace
from functools import partial

from torch import Tensor
from torch.nn import functional

from ...errors import UserError
from ...models.configuration_swin import SwinTransformerConfig
from ...models.shapes import pair
from .rules import (
    Table,
    dropped,
    mapped,
    patch_kernel,
    query_key_value,
    same,
    split_in_three,
    stack,
    under,
    weight_and_bias,
)

Window = tuple[int, int]


@dataclass(frozen=True)
class Cosine:
    """What a library calls the attention of Swin V2, whose keys have no bias; see `Names`."""

    weights: tuple[str, ...]
    biases: tuple[str, str]
    scale: str
    mlp: str


@dataclass(frozen=True)
class SwinNames:
    """What a library calls the parts; `{stage}` and `{block}` stand for numbers, `{part}` for q, k and v.

    merges_last: whether patches are merged at the end of a stage, for the next one.
    cosine: of Swin V2, in place of `qkv` and `bias`.
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
    feed_forward: tuple[str, str] = ("mlp.fc1", "mlp.fc2")
    cosine: Cosine | None = None


TIMM = SwinNames(
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
TRANSFORMERS = SwinNames(
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
TIMM_V2 = replace(
    TIMM,
    buffers=("attn.relative_position_index", "attn.relative_coords_table", "attn_mask"),
    cosine=Cosine(("attn.qkv.weight",), ("attn.q_bias", "attn.v_bias"), "attn.logit_scale", "attn.cpb_mlp"),
)
MICROSOFT_V2 = replace(TIMM_V2, head=MICROSOFT.head, merges_last=True)
TRANSFORMERS_V2 = replace(
    TRANSFORMERS,
    output="attention.output.dense",
    feed_forward=("intermediate.dense", "output.dense"),
    cosine=Cosine(
        tuple(f"attention.self.{part}.weight" for part in ("query", "key", "value")),
        ("attention.self.query.bias", "attention.self.value.bias"),
        "attention.self.logit_scale",
        "attention.self.continuous_position_bias_mlp",
    ),
)
# What `block`, `attention` and `position_bias` say of the two models that other libraries have.
VERSIONS = {("pre_norm", "dot_product", "table"): 1, ("post_norm", "cosine", "continuous"): 2}
V2_WORDS = {"block": "post_norm", "attention": "cosine", "position_bias": "continuous"}


def version_of(config: SwinTransformerConfig) -> int:
    """1, or 2 for Swin V2. Raises: UserError for what lies between them."""
    said = (config.block, config.attention, config.position_bias)
    if said not in VERSIONS:
        raise UserError(
            f"Other libraries cannot represent block={said[0]!r}, attention={said[1]!r} and position_bias={said[2]!r} "
            "together; they have Swin with the first word of each, and Swin V2 with the last."
        )
    return VERSIONS[said]


def clamped_windows(config: SwinTransformerConfig) -> list[Window]:
    """Of each stage, for images of the configured size: no larger than its grid."""
    rows, columns = config.patch_grid
    window, windows = pair(config.window_size), []
    for _ in config.depths:
        windows.append((min(window[0], rows), min(window[1], columns)))
        rows, columns = -(-rows // 2), -(-columns // 2)
    return windows


def trunk_table(names: SwinNames, config: SwinTransformerConfig, windows: list[Window]) -> Table:
    """For our `SwinTransformerModel`. windows: those that their tables of biases are for, of each stage."""
    table = [
        patch_kernel(
            f"{names.patches}.weight",
            "embeddings.patches.projection.weight",
            config.patch_embedding,
            channels=config.num_channels,
            patch_size=config.patch_size,
        ),
        mapped(f"{names.patches}.bias", "embeddings.patches.projection.bias"),
        *weight_and_bias(names.patch_norm, "embeddings.norm"),
        mapped(names.positions, "embeddings.positions.table"),
        *weight_and_bias(names.norm, "norm"),
    ]
    for stage, (depth, window) in enumerate(zip(config.depths, windows, strict=True)):
        if stage:
            merge = names.merge.format(stage=stage - names.merges_last)
            table += weight_and_bias(f"{merge}.norm", f"stages.{stage}.merge.norm")
            table.append(mapped(f"{merge}.reduction.weight", f"stages.{stage}.merge.reduction.weight"))
        for block in range(depth):
            place = names.block.format(stage=stage, block=block)
            rules = block_table(names, window, pair(config.window_size))
            table += under(rules, theirs=f"{place}.", ours=f"stages.{stage}.layers.{block}.")
    return table


def block_table(names: SwinNames, window: Window, whole: Window) -> Table:
    inner, outer = names.feed_forward
    return [
        *weight_and_bias(names.norms[0], "attention_norm"),
        *(dot_product_table(names, window, whole) if names.cosine is None else cosine_table(names.cosine)),
        *weight_and_bias(names.output, "attention.output"),
        *weight_and_bias(names.norms[1], "feed_forward_norm"),
        *weight_and_bias(inner, "feed_forward.inner"),
        *weight_and_bias(outer, "feed_forward.outer"),
        *(dropped(buffer, "it follows from the sizes") for buffer in names.buffers),
    ]


def dot_product_table(names: SwinNames, window: Window, whole: Window) -> Table:
    if "{part}" in names.qkv:
        qkv = query_key_value(names.qkv, "attention.qkv")
    else:
        qkv = weight_and_bias(names.qkv, "attention.qkv")
    widened, cropped = (
        (same, same) if window == whole else (partial(widen, window, whole), partial(crop, window, whole))
    )
    return [*qkv, mapped(names.bias, "attention.relative_bias.table", widened, cropped)]


def cosine_table(names: Cosine) -> Table:
    weights = mapped(names.weights, "attention.qkv.weight", stack, split_in_three)
    return [
        mapped(names.weights, "attention.qkv.weight") if len(names.weights) == 1 else weights,
        mapped(names.biases, "attention.qkv.bias", stack, halves),
        mapped(names.scale, "attention.query_norm.scale"),
        *weight_and_bias(f"{names.mlp}.0", "attention.relative_bias.inner"),
        mapped(f"{names.mlp}.2.weight", "attention.relative_bias.outer.weight"),
    ]


def halves(stacked: Tensor) -> tuple[Tensor, ...]:
    return stacked.chunk(2)


def offsets_of(window: Window) -> Window:
    return 2 * window[0] - 1, 2 * window[1] - 1


def widen(window: Window, whole: Window, table: Tensor) -> Tensor:
    """(steps of `window`) heads -> (steps of `whole`) heads: zeros for steps that no pair of tokens is apart."""
    down, right = whole[0] - window[0], whole[1] - window[1]
    return functional.pad(table.unflatten(0, offsets_of(window)), (0, 0, right, right, down, down)).flatten(0, 1)


def crop(window: Window, whole: Window, table: Tensor) -> Tensor:
    """(steps of `whole`) heads -> (steps of `window`) heads: the inverse."""
    down, right = whole[0] - window[0], whole[1] - window[1]
    rows, columns = offsets_of(whole)
    return table.unflatten(0, (rows, columns))[down : rows - down, right : columns - right].flatten(0, 1)


def window_of_table(rows: int) -> int:
    """The side of the square window whose table has so many rows. Raises: UserError where there is none."""
    side = (int(rows**0.5) + 1) // 2
    if (2 * side - 1) ** 2 != rows:
        raise UserError(f"A table of {rows} biases is that of no square window; windows must be squares here.")
    return side
