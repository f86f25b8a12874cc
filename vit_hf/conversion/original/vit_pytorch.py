"""vit-pytorch's ViT, of 2022 and of today, and its SimpleViT as ours."""

import logging
from collections.abc import Mapping
from functools import partial
from math import isqrt
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import UserError, first_few
from ...families import FAMILIES
from ...models.configuration_vit import VisionTransformerConfig
from ...models.shapes import Size, pair
from ..core.checkpoint_files import open_checkpoint, under_prefix
from ..core.infer_config import Found, as_size, build_model, depth_of, image_size_of
from ..core.parity import Outputs, Runnable
from ..core.rules import Table, constant, dropped, mapped, under, weight_and_bias

logger = logging.getLogger(__name__)

FIRST = "transformer.layers.0.0."
# Its blocks are lists of two modules; in 2022 each was wrapped, with the norm outside.
ANCHORS = (f"{FIRST}to_qkv.weight", f"{FIRST}fn.to_qkv.weight")


def from_vit_pytorch(
    source: Any,
    *,
    heads: int | None = None,
    pool: str | None = None,
    image_size: Size | None = None,
    num_channels: int = 3,
    part: str | None = None,
    **words: Any,
) -> Any:
    """Our classifier with the weights of vit-pytorch's ViT or SimpleViT; without a head, our model of its tokens.

    source: a live model, or a file with its state dict, which says all but these:
    heads: of attention. pool: "cls" (where not said) or "mean", of 2022's. image_size: where it is no square, and
        of SimpleViT. num_channels: of images. part: which of several state dicts in the file.
    words: fields of our configuration, as layer_norm_eps, that hold over what the weights say.

    Raises: UserError for what must be said, for keys that no rule covers, and for files that cannot be read.
    """
    ours, notes, _ = convert_from_vit_pytorch(
        source, heads=heads, pool=pool, image_size=image_size, num_channels=num_channels, part=part, **words
    )
    for note in notes:
        logger.warning("%s: %s", source if isinstance(source, (str, Path)) else type(source).__name__, note)
    return ours


def convert_from_vit_pytorch(
    source: Any,
    *,
    heads: int | None = None,
    pool: str | None = None,
    image_size: Size | None = None,
    num_channels: int = 3,
    part: str | None = None,
    **words: Any,
) -> tuple[Any, list[str], Found]:
    """-> our model, what was left out or assumed, and what was found; see `from_vit_pytorch`."""
    if isinstance(source, nn.Module):
        state, left, live = source.state_dict(), [], source
        heads, pool = said_by(source, heads, pool)
        words = rates_of(source) | words
    else:
        state, left, live = *trunk_in(open_checkpoint(source, part=part), source), None
    found = find(state, heads=heads, pool=pool, image_size=image_size, channels=num_channels, live=live)
    beside = [f"left out: {first_few(left)}"] if left else []
    return build_model(FAMILIES["vit"], found, words), [*found.notes, *beside], found


def trunk_in(state: Mapping[str, Tensor], source: Any) -> tuple[Mapping[str, Tensor], list[str]]:
    for anchor in ANCHORS:
        if (found := under_prefix(state, anchor)) is not None:
            return found
    raise UserError(
        f"{source} holds no ViT of vit-pytorch: none of its keys ({first_few(state)}) ends in {ANCHORS[0]}. "
        "from_original reads weights of Google, timm, DeiT, MAE, DINO and torchvision."
    )


def said_by(model: Any, heads: int | None, pool: str | None) -> tuple[int, str | None]:
    """What a live model knows and its weights do not."""
    attention = model.transformer.layers[0][0]
    attention = getattr(attention, "fn", attention)
    return heads or attention.heads, pool or getattr(model, "pool", None)


def rates_of(model: Any) -> dict[str, float]:
    """Dropout of a live model."""
    attention = model.transformer.layers[0][0]
    attention = getattr(attention, "fn", attention)
    rate = getattr(getattr(attention, "dropout", None), "p", 0.0)
    return {
        "hidden_dropout_prob": rate,
        "attention_probs_dropout_prob": rate,
        "embedding_dropout_prob": getattr(getattr(model, "dropout", None), "p", 0.0),
    }


def find(
    state: Mapping[str, Tensor],
    *,
    heads: int | None,
    pool: str | None,
    image_size: Size | None,
    channels: int,
    live: Any = None,
) -> Found:
    """What the weights of a ViT or SimpleViT are."""
    notes: list[str] = []
    wrapped = ANCHORS[1] in state
    first = f"{FIRST}fn." if wrapped else FIRST
    normed_patches = "to_patch_embedding.3.weight" in state
    linear = state["to_patch_embedding.2.weight" if normed_patches else "to_patch_embedding.1.weight"]
    width, pixels = linear.shape
    patch_size = patch_size_of(pixels, channels, live)
    inner = state[f"{first}to_qkv.weight"].shape[0] // 3
    head = next((name for name in ("mlp_head", "linear_head") if any(key.startswith(name) for key in state)), None)
    norm = "transformer.norm" if "transformer.norm.weight" in state else f"{head}.0"
    class_token = state.get("cls_token")
    has_class = class_token is not None and class_token.numel() > 0
    classifier = f"{head}.weight" if f"{head}.weight" in state else f"{head}.1.weight"
    words = {
        "image_size": grid_size(state, patch_size, has_class, image_size, live),
        "patch_size": as_size(*patch_size),
        "num_channels": channels,
        "hidden_size": width,
        "num_hidden_layers": depth_of(state, "transformer.layers."),
        "num_attention_heads": require_heads(heads, inner),
        "head_dim": None if inner == width else inner // require_heads(heads, inner),
        "intermediate_size": state[f"transformer.layers.0.1.{'fn.net.0' if wrapped else 'net.1'}.weight"].shape[0],
        "qkv_bias": False,
        "layer_norm_eps": 1e-5,
        "dual_patch_norm": normed_patches,
        "position_embedding": "learned" if "pos_embedding" in state else "sincos_2d",
        "position_embedding_init": "normal" if "pos_embedding" in state else "trunc_normal",
        "class_token": has_class,
        "pooling": pooling_of(class_token, pool, notes),
        "final_norm": "tokens" if norm == "transformer.norm" else "pooled",
    }
    if head is not None:
        words["num_labels"] = state[classifier].shape[0]
    table = partial(rules_for, state=state, wrapped=wrapped, norm=norm)
    rules_of_head = None if head is None else weight_and_bias(classifier.removesuffix(".weight"), "classifier")
    return Found(state, words, table, rules_of_head, notes)


def patch_size_of(pixels: int, channels: int, live: Any) -> tuple[int, int]:
    if live is not None:
        lengths = live.to_patch_embedding[0].axes_lengths
        return lengths["p1"], lengths["p2"]
    area, rest = divmod(pixels, channels)
    if rest or isqrt(area) ** 2 != area:
        raise UserError(
            f"A patch of {pixels} numbers is no square of {channels} channels; say num_channels, or convert the live "
            "model, which knows the sides of its patches."
        )
    return isqrt(area), isqrt(area)


def grid_size(
    state: Mapping[str, Tensor], patch_size: tuple[int, int], has_class: bool, said: Size | None, live: Any
) -> int | list[int]:
    if "pos_embedding" in state:
        return image_size_of(state["pos_embedding"].shape[-2] - int(has_class), patch_size, said)
    if live is not None:
        return image_size_of(live.pos_embedding.shape[-2], patch_size, said)
    if said is None:
        raise UserError("SimpleViT keeps no positions among its weights, so that they tell no image_size; say it.")
    return as_size(*pair(said))


def require_heads(heads: int | None, inner: int) -> int:
    if heads is None or inner % heads:
        raise UserError(
            f"heads={heads}: the weights say only that all heads together are {inner} wide; say how many heads they "
            f"are (of vit-pytorch's usual width, 64, it would be {max(1, inner // 64)})."
        )
    return heads


def pooling_of(class_token: Tensor | None, pool: str | None, notes: list[str]) -> str:
    """Today's has a class token only where it pools it, 2022's always."""
    if class_token is None or class_token.numel() == 0:
        return "mean"
    if class_token.ndim < 3:
        return "cls"
    if pool is None:
        notes.append("pool='cls' is assumed; say pool='mean' where it averaged all tokens")
    return {"mean": "mean_all", "cls": "cls", None: "cls"}[pool]


def rules_for(config: VisionTransformerConfig, *, state: Mapping[str, Tensor], wrapped: bool, norm: str) -> Table:
    """From their names to those of our trunk."""
    attention, feed_forward = ("0.fn.", "1.fn.") if wrapped else ("0.", "1.")
    inner, outer = (0, 3) if wrapped else (1, 4 if f"{FIRST[:-2]}1.net.4.weight" in state else 3)
    blocks = [
        *weight_and_bias("0.norm", "attention_norm"),
        mapped(f"{attention}to_qkv.weight", "attention.qkv.weight"),
        *output_rules(config, attention, state),
        *weight_and_bias("1.norm" if wrapped else "1.net.0", "feed_forward_norm"),
        *weight_and_bias(f"{feed_forward}net.{inner}", "feed_forward.inner"),
        *weight_and_bias(f"{feed_forward}net.{outer}", "feed_forward.outer"),
    ]
    patches = "embeddings.patches"
    named = {1: "norm_before", 2: "projection", 3: "norm_after"} if config.dual_patch_norm else {1: "projection"}
    return [
        *(
            rule
            for number, name in named.items()
            for rule in weight_and_bias(f"to_patch_embedding.{number}", f"{patches}.{name}")
        ),
        mapped("cls_token", "embeddings.class_token", as_token)
        if config.class_token
        else dropped("cls_token", "it is empty"),
        mapped("pos_embedding", "embeddings.positions.table", as_token),
        *under(blocks, theirs="transformer.layers.{layer}.", ours="layers.{layer}."),
        *weight_and_bias(norm, "norm"),
    ]


def output_rules(config: VisionTransformerConfig, attention: str, state: Mapping[str, Tensor]) -> Table:
    """SimpleViT's has no bias; one head of the full width has no output projection, which is an identity of ours."""
    first = f"{FIRST[:-2]}{attention}to_out."
    if f"{first}0.weight" in state:
        return weight_and_bias(f"{attention}to_out.0", "attention.output")
    nothing = constant("attention.output.bias", torch.zeros(config.hidden_size))
    if f"{first}weight" in state:
        return [mapped(f"{attention}to_out.weight", "attention.output.weight"), nothing]
    return [constant("attention.output.weight", torch.eye(config.hidden_size)), nothing]


def as_token(tensor: Tensor) -> Tensor:
    """n d, or 1 n d already -> 1 n d"""
    return tensor.reshape(1, *tensor.shape[-2:])


def vit_pytorch_runnable(model: Any) -> Runnable:
    """Its blocks are lists, which run nothing: what goes in is caught, and they are walked through once more."""
    blocks = [nn.Identity() for _ in model.transformer.layers]

    def run(pixel_values: Tensor) -> Outputs:
        caught: list[Tensor] = []
        handle = model.transformer.register_forward_hook(
            lambda module, given, output: caught.extend([given[0], output])
        )
        output = model(pixel_values)
        handle.remove()
        tokens = caught[0]
        for (attention, feed_forward), block in zip(model.transformer.layers, blocks, strict=True):
            tokens = attention(tokens) + tokens
            tokens = block(feed_forward(tokens) + tokens)
        return Outputs(caught[1], None if output.ndim == 3 else output)

    return Runnable(model, blocks, run)
