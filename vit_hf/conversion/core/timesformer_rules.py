"""The weights of other libraries' TimeSformers and ours: one table, with the names that each has for them."""

from dataclasses import dataclass
from functools import partial

import torch
from einops import rearrange
from torch import Tensor

from ...models.configuration_timesformer import TimeSformerConfig
from .rules import (
    Table,
    as_batch_of_one,
    dropped,
    mapped,
    patch_kernel,
    under,
    weight_and_bias,
    without_batch,
)


@dataclass(frozen=True)
class TimeSformerNames:
    """What a library calls the parts; `{layer}` stands for a number, and `part` within a layer."""

    patches: str
    class_token: str
    positions: str
    frames: str
    layer: str
    parts: dict[str, str]
    norm: str
    head: str


TRANSFORMERS = TimeSformerNames(
    patches="embeddings.patch_embeddings.projection",
    class_token="embeddings.cls_token",
    positions="embeddings.position_embeddings",
    frames="embeddings.time_embeddings",
    layer="encoder.layer.{layer}.",
    parts={
        "temporal_layernorm": "temporal_norm",
        "temporal_attention.attention.qkv": "temporal_attention.qkv",
        "temporal_attention.output.dense": "temporal_attention.output",
        "temporal_dense": "temporal_projection",
        "layernorm_before": "attention_norm",
        "attention.attention.qkv": "attention.qkv",
        "attention.output.dense": "attention.output",
        "layernorm_after": "feed_forward_norm",
        "intermediate.dense": "feed_forward.inner",
        "output.dense": "feed_forward.outer",
    },
    norm="layernorm",
    head="classifier",
)
FACEBOOK = TimeSformerNames(
    patches="patch_embed.proj",
    class_token="cls_token",
    positions="pos_embed",
    frames="time_embed",
    layer="blocks.{layer}.",
    parts={
        "temporal_norm1": "temporal_norm",
        "temporal_attn.qkv": "temporal_attention.qkv",
        "temporal_attn.proj": "temporal_attention.output",
        "temporal_fc": "temporal_projection",
        "norm1": "attention_norm",
        "attn.qkv": "attention.qkv",
        "attn.proj": "attention.output",
        "norm2": "feed_forward_norm",
        "mlp.fc1": "feed_forward.inner",
        "mlp.fc2": "feed_forward.outer",
    },
    norm="norm",
    head="head",
)


def trunk_table(names: TimeSformerNames, config: TimeSformerConfig) -> Table:
    """For our `TimeSformerModel`, of transformers' and of facebookresearch's form."""
    projection = "embeddings.patches.projection"
    sizes = {"channels": config.num_channels, "patch_size": config.patch_size}
    layer = [rule for theirs, ours in names.parts.items() for rule in weight_and_bias(theirs, ours)]
    return [
        patch_kernel(f"{names.patches}.weight", f"{projection}.weight", config.patch_embedding, **sizes),
        mapped(f"{names.patches}.bias", f"{projection}.bias"),
        mapped(names.class_token, "embeddings.class_token"),
        mapped(names.positions, "embeddings.positions.table"),
        mapped(names.frames, "embeddings.frame_positions.table", without_batch, as_batch_of_one),
        *under(layer, theirs=names.layer, ours="layers.{layer}."),
        *weight_and_bias(names.norm, "norm"),
    ]


def lucidrains_table(config: TimeSformerConfig) -> Table:
    """For our `TimeSformerModel`, of timesformer-pytorch's."""
    turns = config.position_embedding == "rotary"
    heads = config.num_attention_heads
    qkv = (partial(neighbors_to_halves, heads), partial(interleaved, heads)) if turns else ()
    layer = []
    for number, norm, attention in ((0, "temporal_norm", "temporal_attention"), (1, "attention_norm", "attention")):
        layer += weight_and_bias(f"{number}.norm", norm)
        layer.append(mapped(f"{number}.fn.to_qkv.weight", f"{attention}.qkv.weight", *qkv))
        layer += weight_and_bias(f"{number}.fn.to_out.0", f"{attention}.output")
    layer += weight_and_bias("2.norm", "feed_forward_norm")
    layer += weight_and_bias("2.fn.net.0", "feed_forward.inner") + weight_and_bias("2.fn.net.3", "feed_forward.outer")
    follows = "it follows from the sizes"
    return [
        *weight_and_bias("to_patch_embedding", "embeddings.patches.projection"),
        mapped("cls_token", "embeddings.class_token", as_batch_of_one, without_batch),
        mapped("pos_emb.weight", "embeddings.clip_positions.table.weight"),
        dropped("frame_rot_emb.inv_freqs", follows),
        dropped("image_rot_emb.scales", follows),
        *under(layer, theirs="layers.{layer}.", ours="layers.{layer}."),
        *weight_and_bias("to_out.0", "norm"),
    ]


def neighbors_to_halves(heads: int, stacked: Tensor) -> Tensor:
    """(three heads e two) d -> (three heads two e) d for queries and keys: they turn neighbors, we turn halves."""
    return reordered(heads, stacked, "three heads (e two) d -> three heads (two e) d")


def interleaved(heads: int, stacked: Tensor) -> Tensor:
    """(three heads two e) d -> (three heads e two) d for queries and keys: the inverse."""
    return reordered(heads, stacked, "three heads (two e) d -> three heads (e two) d")


def reordered(heads: int, stacked: Tensor, pattern: str) -> Tensor:
    parts = stacked.unflatten(0, (3, heads, -1))
    turned = rearrange(parts[:2], pattern, two=2)
    return torch.cat([turned, parts[2:]]).flatten(0, 2)
