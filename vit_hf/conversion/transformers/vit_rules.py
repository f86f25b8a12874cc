"""The weights of transformers' Vision Transformers under our names: tables for trunks, without the heads on them."""

from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from ...models.positions import sincos_2d
from ...models.shapes import pair
from ..core.rules import (
    Rule,
    Table,
    as_batch_of_one,
    dropped,
    mapped,
    patch_kernel,
    query_key_value,
    under,
    weight_and_bias,
    without_batch,
)

VIT = {"norms": ("layernorm_before", "layernorm_after"), "attention": "attention", "output": "attention.o_proj"}
DINO = {"norms": ("norm1", "norm2"), "attention": "attention", "output": "attention.o_proj"}
CLIP = {"norms": ("layer_norm1", "layer_norm2"), "attention": "self_attn", "output": "self_attn.out_proj"}


def blocks(
    layers: str,
    *,
    norms: tuple[str, str],
    attention: str,
    output: str,
    inner: str = "mlp.fc1",
    outer: str = "mlp.fc2",
    scales: tuple[str, str] | None = None,
    key_bias: bool = True,
) -> Table:
    """The encoder blocks, which differ from family to family in their names."""
    table = [
        *weight_and_bias(norms[0], "attention_norm"),
        *query_key_value(f"{attention}.{{part}}_proj", "attention.qkv", key_bias=key_bias),
        *weight_and_bias(output, "attention.output"),
        *weight_and_bias(norms[1], "feed_forward_norm"),
        *weight_and_bias(inner, "feed_forward.inner"),
        *weight_and_bias(outer, "feed_forward.outer"),
    ]
    if scales is not None:
        table += [mapped(scales[0], "attention_scale.scale"), mapped(scales[1], "feed_forward_scale.scale")]
    return under(table, theirs=f"{layers}.{{layer}}.", ours="layers.{layer}.")


def kernel(theirs: str, config) -> Rule:
    """The patch embedding's, for our config."""
    return patch_kernel(
        theirs,
        "embeddings.patches.projection.weight",
        config.patch_embedding,
        channels=config.num_channels,
        patch_size=config.patch_size,
    )


def patches(theirs: str, config) -> Table:
    return [kernel(f"{theirs}.weight", config), mapped(f"{theirs}.bias", "embeddings.patches.projection.bias")]


def made(theirs: str, value: Tensor) -> Rule:
    """A key of theirs that ours have no use for; on the way back it is that value."""
    return Rule((theirs,), (), lambda _: (), value.clone)


def positions(config, theirs: str = "embeddings.position_embeddings", *, flat: bool = False) -> Rule:
    """A table of theirs, with a row for the class token, for what our config adds; `flat` without a batch of one."""
    kind = config.position_embedding
    if kind in ("learned", "embedding"):
        ours = "embeddings.positions.table" + ".weight" * (kind == "embedding")
        if flat == (kind == "embedding"):
            return mapped(theirs, ours)
        return (
            mapped(theirs, ours, as_batch_of_one, without_batch)
            if flat
            else mapped(theirs, ours, without_batch, as_batch_of_one)
        )
    grid, width = config.patch_grid, config.hidden_size
    rows = sincos_2d(grid, width) if kind == "sincos_2d" else torch.zeros(grid[0] * grid[1], width)
    rows = functional.pad(rows, (0, 0, int(config.class_token), 0))
    return made(theirs, rows if flat else rows[None])


def vit(config) -> Table:
    return [
        mapped("embeddings.cls_token", "embeddings.class_token"),
        mapped("embeddings.mask_token", "embeddings.mask_token"),
        positions(config),
        *patches("embeddings.patch_embeddings.projection", config),
        *blocks("layers", **VIT),
        *weight_and_bias("layernorm", "norm"),
        *weight_and_bias("pooler.dense", "pooler.dense"),
    ]


def deit(config) -> Table:
    """The distillation token is a register that has a position, which ours adds once and for all."""
    folded = mapped(
        ("embeddings.distillation_token", "embeddings.position_embeddings"),
        ("embeddings.register_tokens", "embeddings.positions.table"),
        fold_position,
        unfold_position,
    )
    return [folded if "embeddings.position_embeddings" in rule.theirs else rule for rule in vit(config)]


def fold_position(token: Tensor, table: Tensor) -> tuple[Tensor, Tensor]:
    return token + table[:, 1:2], torch.cat([table[:, :1], table[:, 2:]], dim=1)


def unfold_position(register: Tensor, table: Tensor) -> tuple[Tensor, Tensor]:
    return register, torch.cat([table[:, :1], torch.zeros_like(register), table[:, 1:]], dim=1)


def dinov2(config) -> Table:
    return [
        mapped("embeddings.cls_token", "embeddings.class_token"),
        mapped("embeddings.register_tokens", "embeddings.register_tokens"),
        made("embeddings.mask_token", torch.zeros(1, config.hidden_size)),
        positions(config),
        *patches("embeddings.patch_embeddings.projection", config),
        *blocks("encoder.layer", **DINO, scales=("layer_scale1.lambda1", "layer_scale2.lambda1")),
        *weight_and_bias("layernorm", "norm"),
    ]


def dinov3(config, *, key_bias: bool = True) -> Table:
    scales = ("layer_scale1.lambda1", "layer_scale2.lambda1")
    registers = mapped("embeddings.register_tokens", "embeddings.register_tokens")
    none = made("embeddings.register_tokens", torch.zeros(1, 0, config.hidden_size))
    return [
        mapped("embeddings.cls_token", "embeddings.class_token"),
        registers if config.num_register_tokens else none,
        made("embeddings.mask_token", torch.zeros(1, 1, config.hidden_size)),
        *patches("embeddings.patch_embeddings", config),
        *blocks("model.layer", **DINO, inner="mlp.up_proj", outer="mlp.down_proj", scales=scales, key_bias=key_bias),
        *weight_and_bias("norm", "norm"),
    ]


def beit(config, *, shared: bool = False) -> Table:
    """With one table of biases for all layers, each of ours gets a copy, as BEiT's own fine-tuning does."""
    biases = mapped(
        "shared_position_bias.relative_position_bias_table"
        if shared
        else "layers.{layer}.relative_position_bias.relative_position_bias_table",
        "layers.{layer}.attention.relative_bias.table",
    )
    return [
        mapped("embeddings.cls_token", "embeddings.class_token"),
        dropped("embeddings.mask_token", "it belongs to pre-training"),
        *([] if config.position_embedding == "relative_bias" else [positions(config)]),
        *patches("embeddings.patch_embeddings.projection", config),
        *blocks("layers", **VIT, scales=("lambda_1", "lambda_2"), key_bias=False),
        biases,
        *weight_and_bias("pooler.layernorm" if config.final_norm == "pooled" else "layernorm", "norm"),
    ]


def clip(config) -> Table:
    return [
        mapped("embeddings.class_embedding", "embeddings.class_token", add_two, drop_two),
        positions(config, "embeddings.position_embedding.weight", flat=True),
        kernel("embeddings.patch_embedding.weight", config),
        *weight_and_bias("pre_layrnorm", "embeddings.norm"),
        *blocks("encoder.layers", **CLIP),
        *([] if config.final_norm == "none" else weight_and_bias("post_layernorm", "norm")),
    ]


def add_two(vector: Tensor) -> Tensor:
    return vector[None, None]


def drop_two(token: Tensor) -> Tensor:
    return token[0, 0]


def siglip(config) -> Table:
    return [
        positions(config, "embeddings.position_embedding.weight", flat=True),
        *patches("embeddings.patch_embedding", config),
        *blocks("encoder.layers", **CLIP),
        *weight_and_bias("post_layernorm", "norm"),
        *(ATTENTION_POOL if config.pooling == "attention" else []),
    ]


def split(stacked: Tensor) -> tuple[Tensor, Tensor]:
    """(3 d) ... -> d ..., (2 d) ...: the query by itself."""
    width = stacked.shape[0] // 3
    return stacked[:width], stacked[width:]


def join(query: Tensor, key_value: Tensor) -> Tensor:
    return torch.cat([query, key_value])


ATTENTION_POOL: Table = [
    mapped("head.probe", "pool.query"),
    mapped("head.attention.in_proj_weight", ("pool.query_projection.weight", "pool.key_value.weight"), split, join),
    mapped("head.attention.in_proj_bias", ("pool.query_projection.bias", "pool.key_value.bias"), split, join),
    *weight_and_bias("head.attention.out_proj", "pool.output"),
    *weight_and_bias("head.layernorm", "pool.norm"),
    *weight_and_bias("head.mlp.fc1", "pool.feed_forward.inner"),
    *weight_and_bias("head.mlp.fc2", "pool.feed_forward.outer"),
]


def decoder(config) -> Table:
    return decoder_of_squares(config.num_channels, *pair(config.patch_size))


def decoder_of_squares(channels: int, height: int, across: int) -> Table:
    """Of masked images, whose pixels are c p1 p2 for them and p1 p2 c for us."""
    order = torch.arange(channels * height * across)
    order = order.reshape(channels, height, across).permute(1, 2, 0).flatten()
    back = order.argsort()
    return [
        mapped("decoder.0.weight", "decoder.weight", partial(channels_last, order), partial(channels_first, back)),
        mapped("decoder.0.bias", "decoder.bias", lambda bias: bias[order], lambda bias: bias[back]),
    ]


def channels_last(order: Tensor, painted: Tensor) -> Tensor:
    """(c p1 p2) d 1 1 -> (p1 p2 c) d"""
    return painted[order].flatten(1)


def channels_first(order: Tensor, painted: Tensor) -> Tensor:
    return painted[order][..., None, None]


def classifier_of_both(pooling: str) -> Table:
    """Of DINOv2, which reads the class token and the mean of the patches, of which ours may pool one."""
    if pooling == "cls_mean":
        return [mapped("classifier.weight", "classifier.weight"), mapped("classifier.bias", "classifier.bias")]
    first = pooling == "cls"
    return [
        mapped(
            "classifier.weight", "classifier.weight", partial(half, first=first), partial(beside_zeros, first=first)
        ),
        mapped("classifier.bias", "classifier.bias"),
    ]


def half(weight: Tensor, *, first: bool) -> Tensor:
    """labels (2 d) -> labels d"""
    return weight.chunk(2, dim=1)[0 if first else 1]


def beside_zeros(weight: Tensor, *, first: bool) -> Tensor:
    nothing = torch.zeros_like(weight)
    return torch.cat([weight, nothing] if first else [nothing, weight], dim=1)


def no_scales(layers: str, width: int) -> Table:
    """LayerScale of theirs that changes nothing, where ours have none."""
    return [made(f"{layers}.{{layer}}.layer_scale{number}.lambda1", torch.ones(width)) for number in (1, 2)]


def no_attention_biases(parts: str, layers: str, attention: str, width: int) -> Table:
    """Zeros for the biases of attention, where ours have none; `parts` of q, k and v."""
    return [made(f"{layers}.{{layer}}.{attention}.{part}_proj.bias", torch.zeros(width)) for part in parts]
