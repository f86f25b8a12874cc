"""torchvision's vit_* as ours."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from ...models.configuration_vit import VisionTransformerConfig
from ..core.infer_config import Found, as_size, depth_of, image_size_of, number_of_heads, with_plain_head
from ..core.preprocessing import MEAN, STD
from ..core.rules import Table, mapped, patch_kernel, under, weight_and_bias

ANCHOR = "encoder.layers.encoder_layer_0.self_attention.in_proj_weight"
# Resized to 256 / 224 of the size, of which the middle is cut out.
IMAGES = {"mean": MEAN, "std": STD, "crop_pct": 0.875, "interpolation": "bilinear"}
# Names of the feed-forward, today's and those of its first release.
INNER, OUTER = ("mlp.0", "mlp.linear_1"), ("mlp.3", "mlp.linear_2")


def find_torchvision(state: Mapping[str, Tensor], said: Mapping[str, Any]) -> Found:
    notes: list[str] = []
    width, channels, *patch_size = state["conv_proj.weight"].shape
    state = with_plain_head(state, "heads.head", width, notes)
    first = ANCHOR.split(".self_attention")[0]
    inner = next(state[f"{first}.{name}.weight"] for name in INNER if f"{first}.{name}.weight" in state)
    patches = (patch_size[0], patch_size[1])
    words = {
        "image_size": image_size_of(state["encoder.pos_embedding"].shape[1] - 1, patches, said.get("image_size")),
        "patch_size": as_size(*patches),
        "num_channels": channels,
        "hidden_size": width,
        "num_hidden_layers": depth_of(state, "encoder.layers.encoder_layer_"),
        "num_attention_heads": number_of_heads(width, said.get("num_attention_heads"), notes),
        "intermediate_size": inner.shape[0],
        "patch_embedding": "conv",
        "add_pooling_layer": "heads.pre_logits.weight" in state,
    }
    if (head := state.get("heads.head.weight")) is None:
        return Found(state, words, torchvision_table, None, notes, IMAGES)
    return Found(
        state,
        words | {"num_labels": head.shape[0]},
        torchvision_table,
        weight_and_bias("heads.head", "classifier"),
        notes,
        IMAGES,
    )


def torchvision_table(config: VisionTransformerConfig) -> Table:
    """From their names to those of our trunk."""
    blocks = [
        *weight_and_bias("ln_1", "attention_norm"),
        mapped("self_attention.in_proj_weight", "attention.qkv.weight"),
        mapped("self_attention.in_proj_bias", "attention.qkv.bias"),
        *weight_and_bias("self_attention.out_proj", "attention.output"),
        *weight_and_bias("ln_2", "feed_forward_norm"),
        *(rule for name in INNER for rule in weight_and_bias(name, "feed_forward.inner")),
        *(rule for name in OUTER for rule in weight_and_bias(name, "feed_forward.outer")),
    ]
    return [
        mapped("class_token", "embeddings.class_token"),
        mapped("encoder.pos_embedding", "embeddings.positions.table"),
        patch_kernel(
            "conv_proj.weight",
            "embeddings.patches.projection.weight",
            config.patch_embedding,
            channels=config.num_channels,
            patch_size=config.patch_size,
        ),
        mapped("conv_proj.bias", "embeddings.patches.projection.bias"),
        *under(blocks, theirs="encoder.layers.encoder_layer_{layer}.", ours="layers.{layer}."),
        *weight_and_bias("encoder.ln", "norm"),
        *weight_and_bias("heads.pre_logits", "pooler.dense"),
    ]
