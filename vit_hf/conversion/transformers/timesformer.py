"""transformers' TimeSformer and ours, both ways."""

from collections.abc import Iterator
from typing import Any

import torch
import transformers
from einops import rearrange
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers import initialization as init

from ...errors import UserError
from ...families.base import State
from ...models.configuration_timesformer import TimeSformerConfig
from ...models.modeling_timesformer import TimeSformerForVideoClassification, TimeSformerModel
from ...models.shapes import pair
from ..core.parity import Outputs, Runnable
from ..core.rules import Table, turned, under, weight_and_bias
from ..core.timesformer_rules import TRANSFORMERS, trunk_table
from ..core.weights import fill
from .vit_config import common
from .vit_targets import shared, their_dropouts

# What they call their configurations.
NAMES = ("timesformer",)
# Their class -> ours.
CLASSES: dict[str, Any] = {
    "TimesformerModel": TimeSformerModel,
    "TimesformerForVideoClassification": TimeSformerForVideoClassification,
}
# What theirs do without: our field -> the values that they can represent.
SAYS: dict[str, tuple[Any, ...]] = {
    "attention_type": ("divided_space_time", "joint_space_time"),
    "class_attention": ("frames",),
    "gated_feed_forward": (False,),
    "qk_norm": (False,),
    "layer_scale_init_value": (None,),
    "position_embedding": ("learned",),
}


def our_fields(theirs: Any) -> dict[str, Any]:
    """Their configuration in our words."""
    alike = ("intermediate_size", "qkv_bias", "num_frames", "attention_type", "drop_path_rate")
    return {
        **common(theirs),
        **their_dropouts(theirs),
        **{name: getattr(theirs, name) for name in alike},
        "head_dim": None,
    }


def table_for(config: TimeSformerConfig, name: str) -> Table:
    """For one of their classes."""
    table = trunk_table(TRANSFORMERS, config)
    if name == "TimesformerModel":
        return table
    return [*under(table, theirs="timesformer.", ours="timesformer."), *weight_and_bias("classifier", "classifier")]


def takes(theirs: Any) -> bool:
    return theirs.config.model_type in NAMES


def to_ours(theirs: Any, state: State) -> tuple[Any, list[str]]:
    """-> our model, and how it differs.

    Raises: UserError for heads that we have no like of.
    """
    name, words = type(theirs).__name__, our_fields(theirs.config)
    if name not in CLASSES:
        raise UserError(f"{name} has no like among ours; of transformers' TimeSformer, {', '.join(CLASSES)} have.")
    if name == "TimesformerForVideoClassification":
        words |= {"id2label": theirs.config.id2label, "problem_type": theirs.config.problem_type}
    config = TimeSformerConfig(**words)
    with torch.device("meta"):
        ours = CLASSES[name](config)
    fill(ours, state, table_for(config, name), config.num_hidden_layers)
    apart = "space_only: the mean of all frames is classified, as in the original; transformers classifies each frame"
    return ours, [apart] if config.attention_type == "space_only" else []


def unsupported_by_transformers(config: TimeSformerConfig) -> Iterator[str]:
    for name, values in SAYS.items():
        if (found := getattr(config, name)) not in values:
            yield f"{name}={found!r} (it takes {' or '.join(repr(value) for value in values)})"
    if not config.temporal_projection and config.attention_type == "divided_space_time":
        yield "temporal_projection=False"
    if config.attention_head_size * config.num_attention_heads != config.hidden_size:
        yield f"head_dim={config.head_dim} (it takes hidden_size / num_attention_heads)"
    if len({*pair(config.image_size)}) > 1 or len({*pair(config.patch_size)}) > 1:
        yield f"image_size={config.image_size} with patch_size={config.patch_size} (it takes squares)"


def to_theirs(model: Any, state: State) -> tuple[PreTrainedModel, list[str]]:
    """-> a live model of transformers' own, and what changes in training.

    Raises: UserError that names the fields, and their values, that transformers cannot represent.
    """
    config: Any = model.config
    if reasons := list(unsupported_by_transformers(config)):
        raise UserError(f"transformers' TimeSformer cannot represent {'; '.join(reasons)}.")
    name = next(theirs for theirs, ours in CLASSES.items() if isinstance(model, ours))
    alike = {
        field: getattr(config, field) for field in ("intermediate_size", "qkv_bias", "num_frames", "attention_type")
    }
    sizes = {"image_size": pair(config.image_size)[0], "patch_size": pair(config.patch_size)[0]}
    arguments = {**shared(config), **their_dropouts(config), **alike, **sizes}
    if name == "TimesformerForVideoClassification":
        arguments |= {"id2label": config.id2label, "label2id": config.label2id, "problem_type": config.problem_type}
    with init.no_init_weights():
        theirs = getattr(transformers, name)(transformers.TimesformerConfig(**arguments))
    fill(theirs, state, turned(table_for(config, name)), config.num_hidden_layers)
    return theirs, list(changes_of_training(config))


def changes_of_training(config: TimeSformerConfig) -> Iterator[str]:
    if config.hidden_dropout_prob != config.embedding_dropout_prob:
        yield f"embedding_dropout_prob={config.embedding_dropout_prob} follows hidden_dropout_prob in transformers"
    for name in ("drop_path_rate", "label_smoothing"):
        if rate := getattr(config, name):
            yield f"{name}={rate} is left out: transformers' TimeSformer takes none but 0"


def frames_first(tokens: Tensor, frames: int) -> Tensor:
    """b (1 n t) d -> b (1 t n) d: they keep the frames of a place together, we the places of a frame."""
    return torch.cat([tokens[:, :1], rearrange(tokens[:, 1:], "b (n t) d -> b (t n) d", t=frames)], dim=1)


def runnable(model: Any) -> Runnable:
    """What comes out of their blocks passes through others that compare it, in our order."""
    trunk = getattr(model, "timesformer", model)
    blocks = [nn.Identity() for _ in trunk.encoder.layer]
    apart = trunk.config.attention_type == "space_only"

    def run(pixel_values: Tensor) -> Outputs:
        frames = pixel_values.shape[1]
        outputs = trunk(pixel_values, output_hidden_states=True)
        *states, last = (one if apart else frames_first(one, frames) for one in outputs.hidden_states[1:])
        for block, tokens in zip(blocks, [*states, last], strict=True):
            block(tokens)
        if apart:
            tokens = trunk.layernorm(last.unflatten(0, (-1, frames)).mean(dim=1))
        else:
            tokens = frames_first(outputs.last_hidden_state, frames)
        return Outputs(tokens, model.classifier(tokens[:, 0]) if model is not trunk else tokens[:, 0])

    return Runnable(model, blocks, run)
