"""facebookresearch's and lucidrains' files of TimeSformers, as ours."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import Tensor

from ...errors import UserError
from ...models.shapes import pair
from ..core.checkpoint_files import under_prefix
from ..core.infer_config import Found, as_size, depth_of, image_size_of, number_of_heads
from ..core.rules import weight_and_bias
from ..core.timesformer_rules import FACEBOOK, lucidrains_table, trunk_table

# Of divided attention, and of joint attention; attention of space alone has the keys of a plain ViT, and is said.
ANCHOR = "blocks.0.temporal_attn.qkv.weight"
JOINT = "time_embed"
APART = "blocks.0.attn.qkv.weight"
LUCIDRAINS = "layers.0.1.fn.to_qkv.weight"
SHIFTED = "layers.0.1.fn.fn.to_qkv.weight"
# Source: facebookresearch/TimeSformer, released configurations; of its three crops the middle one.
IMAGES = {"mean": (0.45,) * 3, "std": (0.225,) * 3, "crop_pct": 1.0, "interpolation": "bilinear"}


def under_space_alone(state: Mapping[str, Tensor], said: Mapping[str, Any]) -> Any:
    """Weights of attention over space alone, where they are said to be: they look like those of any ViT."""
    return under_prefix(state, APART) if said.get("attention_type") == "space_only" else None


def find_facebook(state: Mapping[str, Tensor], said: Mapping[str, Any]) -> Found:
    """All but the number of heads lies in the weights, or is said."""
    notes: list[str] = []
    width, channels, *patch = state["patch_embed.proj.weight"].shape
    joint = "joint_space_time" if "time_embed" in state else "space_only"
    words = {
        "image_size": image_size_of(state["pos_embed"].shape[1] - 1, (patch[0], patch[1]), said.get("image_size")),
        "patch_size": as_size(patch[0], patch[1]),
        "num_channels": channels,
        "attention_type": "divided_space_time" if ANCHOR in state else joint,
        "hidden_size": width,
        "num_hidden_layers": depth_of(state, "blocks."),
        "num_attention_heads": number_of_heads(width, said.get("num_attention_heads"), notes),
        "intermediate_size": state["blocks.0.mlp.fc1.weight"].shape[0],
        "qkv_bias": "blocks.0.attn.qkv.bias" in state,
    }
    if "time_embed" in state:
        words["num_frames"] = state["time_embed"].shape[1]
    head = state.get("head.weight")
    if head is not None:
        words["num_labels"] = head.shape[0]
    rules = None if head is None else weight_and_bias("head", "classifier")
    return Found(state, words, partial(trunk_table, FACEBOOK), rules, notes, IMAGES)


def find_lucidrains(state: Mapping[str, Tensor], said: Mapping[str, Any]) -> Found:
    """Heads are 64 wide and frames 8 where nothing else is said, as are its own in its examples.

    Raises: UserError for shifted tokens, which our words cannot say.
    """
    if SHIFTED in state:
        raise UserError(
            "These are weights of a TimeSformer with shift_tokens=True, which moves a third of each token to the frame "
            "before and a third to the one after; that has no form in our words. Those with shift_tokens=False convert."
        )
    notes: list[str] = []
    width, pixels = state["to_patch_embedding.weight"].shape
    channels = said.get("num_channels", 3)
    patch = pair(said.get("patch_size") or round((pixels / channels) ** 0.5))
    inner = state[LUCIDRAINS].shape[0] // 3
    heads = said.get("num_attention_heads") or max(1, inner // 64)
    if "num_attention_heads" not in said:
        notes.append(f"num_attention_heads={heads} is assumed of the width {inner}; say it where it is another")
    words = {
        "patch_size": as_size(*patch),
        "num_channels": channels,
        "num_frames": said.get("num_frames", 8),
        "class_attention": "all",
        "temporal_projection": False,
        "hidden_size": width,
        "num_hidden_layers": depth_of(state, "layers."),
        "num_attention_heads": heads,
        "head_dim": inner // heads,
        "intermediate_size": state["layers.0.2.fn.net.3.weight"].shape[1],
        "gated_feed_forward": True,
        "qkv_bias": False,
        "layer_norm_eps": 1e-5,
        "patch_embedding": "linear",
        "position_embedding": "embedding" if "pos_emb.weight" in state else "rotary",
        "num_labels": state["to_out.1.weight"].shape[0],
    }
    for name in ("num_frames", *(["image_size"] if words["position_embedding"] == "rotary" else [])):
        if name not in said:
            notes.append(f"{name}={words.get(name, 224)} is assumed; say it where it is another")
    if words["position_embedding"] == "embedding":
        places = (state["pos_emb.weight"].shape[0] - 1) // words["num_frames"]
        words["image_size"] = image_size_of(places, patch, said.get("image_size"))
    return Found(state, words, lucidrains_table, weight_and_bias("to_out.1", "classifier"), notes)
