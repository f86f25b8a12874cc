"""Google's .npz files, of vision_transformer (2020) and of big_vision, as ours."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from einops import rearrange
from torch import Tensor

from ...completion.adaptation import linear_to_conv
from ...errors import UserError
from ...families.base import State
from ...models.configuration_vit import VisionTransformerConfig
from ...models.shapes import pair
from ..core.checkpoint_files import Tensors
from ..core.infer_config import Found, as_size, depth_of, image_size_of
from ..core.rules import Table, mapped, under

ANCHOR = "embedding/kernel"
# Before a model's own names: of an optimizer, of parameters, of the tower of images beside one of texts.
TREE_PREFIXES = ("", "params/", "params/img/", "opt/target/", "img/")
# How big_vision and its forerunner number the parts of a block.
NUMBERS = {
    "MultiHeadDotProductAttention_1": ("LayerNorm_2", "MlpBlock_3"),
    "MultiHeadDotProductAttention_0": ("LayerNorm_1", "MlpBlock_0"),
}
SCANNED = "Transformer/encoderblock/"
MAP = "MAPHead_0/"
# The whole image, squeezed into the size, from -1 to 1.
IMAGES = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5), "crop_pct": None, "interpolation": "bilinear"}


def under_google_prefix(state: State, said: Mapping[str, Any]) -> tuple[State, list[str]] | None:
    """The model of images under its own names, layer by layer, and the keys of other things."""
    prefix = next((prefix for prefix in TREE_PREFIXES if f"{prefix}{ANCHOR}" in state), None)
    if prefix is None or not any(key.startswith(f"{prefix}Transformer/") for key in state):
        return None
    names = {key[len(prefix) :]: key for key in state if key.startswith(prefix)}
    readers = {}
    for name, key in names.items():
        if name.startswith(SCANNED):
            for layer in range(len(state[key])):
                each = name.replace(SCANNED, f"Transformer/encoderblock_{layer}/")
                readers[each] = lambda key=key, layer=layer: state[key][layer]
        else:
            readers[name] = lambda key=key: state[key]
    return Tensors(readers), [key for key in state if not key.startswith(prefix)]


def find_google(state: Mapping[str, Tensor], said: Mapping[str, Any]) -> Found:
    """Their GELU is the one of tanh, and their norms have an eps of 1e-6, as JAX and Flax have by default."""
    first = "Transformer/encoderblock_0/"
    attention = next(name for name in NUMBERS if f"{first}{name}/query/kernel" in state)
    mlp = NUMBERS[attention][1]
    width, heads, head_width = state[f"{first}{attention}/query/kernel"].shape
    height, across, channels, _ = state[ANCHOR].shape
    has_class, has_map = "cls" in state, f"{MAP}probe" in state
    positions = next(
        (key for key in ("pos_embedding", "Transformer/posembed_input/pos_embedding") if key in state), None
    )
    notes = ["hidden_act='gelu_pytorch_tanh' is assumed, as JAX computes GELU; other libraries read it as 'gelu'"]
    if positions is None and "image_size" not in said:
        raise UserError("The file keeps no positions (fixed waves), so that it tells no image_size; say it.")
    size = said.get("image_size")
    words = {
        "image_size": size
        if positions is None
        else image_size_of(rows_of(state[positions]) - int(has_class), (height, across), size),
        "patch_size": as_size(height, across),
        "num_channels": channels,
        "hidden_size": width,
        "num_hidden_layers": depth_of(state, "Transformer/encoderblock_"),
        "num_attention_heads": heads,
        "head_dim": None if heads * head_width == width else head_width,
        "intermediate_size": state[f"{first}{mlp}/Dense_0/kernel"].shape[1],
        "hidden_act": "gelu_pytorch_tanh",
        "position_embedding": "learned" if positions else "sincos_2d",
        "class_token": has_class,
        "pooling": "attention" if has_map else "cls" if has_class else "mean",
        "add_pooling_layer": "pre_logits/kernel" in state,
    }
    if "pre_logits/kernel" in state and len(set(state["pre_logits/kernel"].shape)) > 1:
        raise UserError(
            f"pre_logits is {tuple(state['pre_logits/kernel'].shape)}, and our pooler keeps the width of the model; "
            "such a layer has no form in our words."
        )
    head = None
    if "head/kernel" in state:
        words["num_labels"] = state["head/kernel"].shape[1]
        head = dense("head", "classifier")
    table = partial(google_table, attention=attention, positions=positions)
    return Found(state, words, table, head, notes, IMAGES)


def rows_of(table: Tensor) -> int:
    return table.shape[-2] if table.ndim < 4 else table.shape[-3] * table.shape[-2]


def google_table(config: VisionTransformerConfig, *, attention: str, positions: str | None) -> Table:
    """From their names to those of our trunk."""
    norm, mlp = NUMBERS[attention]
    blocks = [
        *scale_and_bias("LayerNorm_0", "attention_norm"),
        *attention_rules(attention),
        *scale_and_bias(norm, "feed_forward_norm"),
        *dense(f"{mlp}/Dense_0", "feed_forward.inner"),
        *dense(f"{mlp}/Dense_1", "feed_forward.outer"),
    ]
    kernel = as_linear if config.patch_embedding == "linear" else partial(as_conv, patch_size=config.patch_size)
    return [
        mapped("embedding/kernel", "embeddings.patches.projection.weight", kernel),
        mapped("embedding/bias", "embeddings.patches.projection.bias"),
        mapped("cls", "embeddings.class_token"),
        *([] if positions is None else [mapped(positions, "embeddings.positions.table", flat_positions)]),
        *under(blocks, theirs="Transformer/encoderblock_{layer}/", ours="layers.{layer}."),
        *scale_and_bias("Transformer/encoder_norm", "norm"),
        *dense("pre_logits", "pooler.dense"),
        *under(map_rules(config), theirs=MAP, ours="pool."),
    ]


def attention_rules(name: str) -> Table:
    parts = ("query", "key", "value")
    return [
        mapped(tuple(f"{name}/{part}/kernel" for part in parts), "attention.qkv.weight", stack_kernels),
        mapped(tuple(f"{name}/{part}/bias" for part in parts), "attention.qkv.bias", stack_biases),
        mapped(f"{name}/out/kernel", "attention.output.weight", joined),
        mapped(f"{name}/out/bias", "attention.output.bias"),
    ]


def map_rules(config: VisionTransformerConfig) -> Table:
    """Their attention pool, whose query looks at all tokens."""
    name = "MultiHeadDotProductAttention_0"
    if config.pooling != "attention":
        return []
    return [
        mapped("probe", "query"),
        mapped(f"{name}/query/kernel", "query_projection.weight", stack_kernels),
        mapped(f"{name}/query/bias", "query_projection.bias", stack_biases),
        mapped((f"{name}/key/kernel", f"{name}/value/kernel"), "key_value.weight", stack_kernels),
        mapped((f"{name}/key/bias", f"{name}/value/bias"), "key_value.bias", stack_biases),
        mapped(f"{name}/out/kernel", "output.weight", joined),
        mapped(f"{name}/out/bias", "output.bias"),
        *scale_and_bias("LayerNorm_0", "norm"),
        *dense("MlpBlock_0/Dense_0", "feed_forward.inner"),
        *dense("MlpBlock_0/Dense_1", "feed_forward.outer"),
    ]


def dense(theirs: str, ours: str) -> Table:
    return [mapped(f"{theirs}/kernel", f"{ours}.weight", transposed), mapped(f"{theirs}/bias", f"{ours}.bias")]


def scale_and_bias(theirs: str, ours: str) -> Table:
    return [mapped(f"{theirs}/scale", f"{ours}.weight"), mapped(f"{theirs}/bias", f"{ours}.bias")]


def transposed(kernel: Tensor) -> Tensor:
    return kernel.T


def stack_kernels(*kernels: Tensor) -> Tensor:
    """d heads e, several -> (several heads e) d"""
    return torch.cat([rearrange(kernel, "d heads e -> (heads e) d") for kernel in kernels])


def stack_biases(*biases: Tensor) -> Tensor:
    """heads e, several -> (several heads e)"""
    return torch.cat([bias.flatten() for bias in biases])


def joined(kernel: Tensor) -> Tensor:
    """heads e d -> d (heads e)"""
    return rearrange(kernel, "heads e d -> d (heads e)")


def as_linear(kernel: Tensor) -> Tensor:
    """p1 p2 c d -> d (p1 p2 c)"""
    return rearrange(kernel, "p1 p2 c d -> d (p1 p2 c)")


def as_conv(kernel: Tensor, *, patch_size: Any) -> Tensor:
    return linear_to_conv(as_linear(kernel), kernel.shape[2], pair(patch_size))


def flat_positions(positions: Tensor) -> Tensor:
    """h w d, or n d, or 1 n d already -> 1 n d"""
    return positions.reshape(1, -1, positions.shape[-1])
