"""transformers' Swin and Swin V2 and ours, both ways."""

from collections.abc import Iterator
from typing import Any

import torch
import transformers
from torch import Tensor
from transformers import PreTrainedModel
from transformers import initialization as init

from ...errors import UserError
from ...families.base import State
from ...models.configuration_swin import SwinTransformerConfig
from ...models.modeling_swin import SwinTransformerBackbone, SwinTransformerForImageClassification, SwinTransformerModel
from ...models.modeling_swin_heads import SwinTransformerForMaskedImageModeling
from ...models.shapes import pair
from ..core.parity import Outputs, Runnable
from ..core.rules import Table, turned, under, weight_and_bias
from ..core.swin_rules import (
    TRANSFORMERS,
    TRANSFORMERS_V2,
    V2_WORDS,
    clamped_windows,
    trunk_table,
    version_of,
)
from ..core.weights import fill
from ..timm.swin import grids
from .vit_config import our_dropouts, sides
from .vit_rules import decoder_of_squares, made, mapped

# What they call their configurations.
NAMES = ("swin", "swinv2")
# Their class -> ours, and what ours is called in the other direction.
CLASSES: dict[str, Any] = {
    "SwinModel": SwinTransformerModel,
    "SwinForImageClassification": SwinTransformerForImageClassification,
    "SwinForMaskedImageModeling": SwinTransformerForMaskedImageModeling,
    "SwinBackbone": SwinTransformerBackbone,
}
CLASSES_V2: dict[str, Any] = {
    "Swinv2Model": SwinTransformerModel,
    "Swinv2ForImageClassification": SwinTransformerForImageClassification,
    "Swinv2ForMaskedImageModeling": SwinTransformerForMaskedImageModeling,
}

NO_POSITIONS = "transformers' Swin V2 has a position too many and cannot add them to its patches"

# Fields of both, by the same name.
SAME_FIELDS = (
    "image_size",
    "patch_size",
    "num_channels",
    "embed_dim",
    "depths",
    "num_heads",
    "mlp_ratio",
    "hidden_act",
    "qkv_bias",
    "hidden_dropout_prob",
    "attention_probs_dropout_prob",
    "drop_path_rate",
    "layer_norm_eps",
    "initializer_range",
)


def our_fields(theirs: Any) -> dict[str, Any]:
    """Their configuration in our words."""
    return {
        **{field: getattr(theirs, field) for field in SAME_FIELDS},
        **our_dropouts(theirs),
        "image_size": sides(theirs.image_size),
        "patch_size": sides(theirs.patch_size),
        "window_size": theirs.window_size,
        "ape": theirs.use_absolute_embeddings,
        **(v2_words(theirs) if theirs.model_type == "swinv2" else {}),
    }


def v2_words(theirs: Any) -> dict[str, Any]:
    if theirs.use_absolute_embeddings:
        raise UserError(f"use_absolute_embeddings=True: {NO_POSITIONS}.")
    sizes = list(theirs.pretrained_window_sizes)
    return {**V2_WORDS, "pretrained_window_sizes": sizes if any(sizes) else None}


def covers_one_side(config: SwinTransformerConfig) -> bool:
    """Whether windows cover a stage along one side alone, where transformers then shifts along neither."""
    window = pair(config.window_size)
    covered = ([side <= reach for side, reach in zip(grid, window, strict=True)] for grid in grids(config))
    return any(len(set(both)) > 1 for both in covered)


def table_for(config: SwinTransformerConfig, name: str) -> Table:
    """For one of their classes; a backbone's trunk has no norm of its own."""
    whole = [pair(config.window_size)] * len(config.depths)
    table = trunk_table(TRANSFORMERS if name in CLASSES else TRANSFORMERS_V2, config, whole)
    if name.endswith("Model"):
        return table
    if name.endswith("ForImageClassification"):
        trunk = "swin." if name in CLASSES else "swinv2."
        return [*under(table, theirs=trunk, ours="swin."), *weight_and_bias("classifier", "classifier")]
    if name.endswith("ForMaskedImageModeling"):
        trunk = "swin." if name in CLASSES else "swinv2."
        stride = [side * 2 ** (len(config.depths) - 1) for side in pair(config.patch_size)]
        hidden = mapped("embeddings.mask_token", "embeddings.mask_token")
        return [*under([*table, hidden], theirs=trunk, ours="swin."), *decoder_of_squares(config.num_channels, *stride)]
    trunk = [rule for rule in table if not rule.theirs[0].startswith(f"{TRANSFORMERS.norm}.")]
    norms = [weight_and_bias(f"hidden_states_norms.{stage}", f"norms.{stage}") for stage in config.stage_names]
    width = config.hidden_size
    idle = [
        made(f"layernorm.{part}", value)
        for part, value in (("weight", torch.ones(width)), ("bias", torch.zeros(width)))
    ]
    return [*under([*trunk, *idle], theirs="swin.", ours="swin."), *(rule for norm in norms for rule in norm)]


def takes(theirs: Any) -> bool:
    return theirs.config.model_type in NAMES


def to_ours(theirs: Any, state: State) -> tuple[Any, list[str]]:
    """-> our model, and what is left out.

    Raises: UserError for heads that we have no like of, and for sizes at which theirs is another function.
    """
    name = type(theirs).__name__
    known = CLASSES | CLASSES_V2
    if name not in known:
        raise UserError(f"{name} has no like among our models; of transformers' Swin, {', '.join(known)} have.")
    words = our_fields(theirs.config)
    if name.endswith("ForImageClassification"):
        words |= {"id2label": theirs.config.id2label, "problem_type": theirs.config.problem_type}
    if name == "SwinBackbone":
        words["out_features"] = theirs.config.out_features
    config = SwinTransformerConfig(**words)
    refuse_uneven(config)
    refuse_other_stride(config, theirs.config, name)
    with torch.device("meta"):
        ours = known[name](config)
    fill(ours, state, table_for(config, name), 1)
    return ours, []


def refuse_other_stride(config: SwinTransformerConfig, theirs: Any, name: str) -> None:
    """Their head paints squares of `encoder_stride` pixels; ours the pixels under a token."""
    stride = pair(config.patch_size)[0] * 2 ** (len(config.depths) - 1)
    if name.endswith("ForMaskedImageModeling") and theirs.encoder_stride != stride:
        raise UserError(f"encoder_stride={theirs.encoder_stride}: our model paints {stride} pixels for each token.")


def refuse_uneven(config: SwinTransformerConfig) -> None:
    if covers_one_side(config):
        raise UserError(
            f"image_size={config.image_size} with window_size={config.window_size}: a window covers a stage along one "
            "side alone, where transformers shifts windows along neither side and ours along the other."
        )


def unsupported_by_transformers(config: SwinTransformerConfig) -> Iterator[str]:
    if not config.patch_norm:
        yield "patch_norm=False"
    if config.mask_padding:
        yield "mask_padding=True"
    if len(set(pair(config.window_size))) > 1:
        yield f"window_size={config.window_size} (it takes squares)"
    if version_of(config) == 1 and clamped_windows(config) != [pair(config.window_size)] * len(config.depths):
        yield f"image_size={config.image_size}, at which a stage is smaller than window_size={config.window_size}"
    if version_of(config) == 2 and config.ape:
        yield f"ape=True ({NO_POSITIONS})"
    if config.layer_norm_eps != 1e-5:
        yield f"layer_norm_eps={config.layer_norm_eps} (it has 1e-5 in its embeddings)"


def to_theirs(model: Any, state: State) -> tuple[PreTrainedModel, list[str]]:
    """-> a live model of transformers' own, and what changes in training or at other sizes.

    Raises: UserError that names the fields, and their values, that transformers cannot represent.
    """
    config: Any = model.config
    if reasons := list(unsupported_by_transformers(config)):
        raise UserError(f"transformers' Swin cannot represent {'; '.join(reasons)}.")
    refuse_uneven(config)
    classes = CLASSES if version_of(config) == 1 else CLASSES_V2
    name = next((theirs for theirs, ours in classes.items() if isinstance(model, ours)), None)
    if name is None:
        raise UserError(
            f"transformers' Swin V2 has no like of {type(model).__name__}, only of a classifier, a painter, a trunk."
        )
    arguments: dict[str, Any] = {field: getattr(config, field) for field in SAME_FIELDS}
    arguments |= {"window_size": pair(config.window_size)[0], "use_absolute_embeddings": config.ape}
    if name.endswith("ForImageClassification"):
        arguments |= {"id2label": config.id2label, "label2id": config.label2id, "problem_type": config.problem_type}
    if name == "SwinBackbone":
        arguments["out_features"] = config.out_features
    if name.endswith("ForMaskedImageModeling"):
        arguments["encoder_stride"] = pair(config.patch_size)[0] * 2 ** (len(config.depths) - 1)
    config_class = transformers.SwinConfig
    if classes is CLASSES_V2:
        config_class = transformers.Swinv2Config
        arguments["pretrained_window_sizes"] = config.pretrained_window_sizes or [0] * len(config.depths)
    with init.no_init_weights():
        theirs = getattr(transformers, name)(config_class(**arguments))
    fill(theirs, state, turned(table_for(config, name)), 1)
    return theirs, list(changes_of_training(config))


def changes_of_training(config: SwinTransformerConfig) -> Iterator[str]:
    if config.hidden_dropout_prob != config.embedding_dropout_prob:
        yield f"embedding_dropout_prob={config.embedding_dropout_prob} follows hidden_dropout_prob in transformers"
    if config.label_smoothing:
        yield f"label_smoothing={config.label_smoothing} is left out: transformers' Swin has a loss without it"


def runnable(model: Any) -> Runnable:
    trunk = getattr(model, "swin", getattr(model, "swinv2", model))
    classifies = hasattr(model, "classifier")

    def run(pixel_values: Tensor) -> Outputs:
        outputs = trunk(pixel_values)
        logits = model(pixel_values).logits if classifies else outputs.pooler_output
        return Outputs(outputs.last_hidden_state, logits)

    return Runnable(model, [block for stage in trunk.encoder.layers for block in stage.blocks], run)
