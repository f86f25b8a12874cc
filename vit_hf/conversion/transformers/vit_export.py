"""Ours as one of transformers' own Vision Transformers, which load where no code of ours is."""

from collections.abc import Iterator
from typing import Any

import transformers
from transformers import PreTrainedModel
from transformers import initialization as init

from ...errors import UserError
from ...families.base import State
from ...models.configuration_vit import VisionTransformerConfig
from ..core.rules import Table, listed, turned, under
from ..core.weights import fill
from . import vit_rules as rules
from .vit_import import MODELS_BY_TASK, TABLES, head_table, labels_of, trunk_of
from .vit_targets import VIT_TARGETS, target_of

# Where attention always has biases: of which parts, and in which layers.
BIASED = {
    "beit": ("qv", "layers", "attention"),
    "clip_vision_model": ("qkv", "encoder.layers", "self_attn"),
    "siglip_vision_model": ("qkv", "encoder.layers", "self_attn"),
    "siglip": ("qkv", "encoder.layers", "self_attn"),
}
# Where LayerScale always is, and in which layers.
SCALED = {"dinov2": "encoder.layer", "dinov2_with_registers": "encoder.layer", "dinov3_vit": "model.layer"}


def to_theirs(model: Any, state: State) -> tuple[PreTrainedModel, list[str]]:
    """-> a live model, and what changes in training or at other sizes."""
    config, task = model.config, task_of_ours(model)
    kind = target_of(config, task)
    target = VIT_TARGETS[kind]
    taught = "WithTeacher" if config.distillation_token and task == "classifier" else ""
    model_class = getattr(transformers, f"{target.classes[task]}{taught}")
    arguments = target.arguments(config)
    if task == "classifier":
        arguments |= {**labels_of(config), "label2id": config.label2id}
    options = {"add_pooling_layer": config.add_pooling_layer} if kind in ("vit", "deit") and task == "tokens" else {}
    with init.no_init_weights():
        theirs = model_class(model_class.config_class(**arguments), **options)
    prefix = trunk_of(theirs)[0]
    table = under(TABLES[kind](config), theirs=prefix, ours="" if task == "tokens" else "vit.")
    if task == "classifier":
        table += head_table(theirs, {"pooling": config.pooling})
    elif task == "masked_image_modeling":
        table += rules.decoder(config)
    table += under(constant_keys(config, kind), theirs=prefix)
    fill(theirs, state, turned(table), config.num_hidden_layers)
    return theirs, list(changes_of_training(config, kind)) + unpooled(theirs)


def task_of_ours(model: Any) -> str:
    for task, model_class in MODELS_BY_TASK.items():
        if isinstance(model, model_class):
            return task
    raise UserError(
        f"A {type(model).__name__} has no form in transformers; convert one of {listed(MODELS_BY_TASK.values())}."
    )


def changes_of_training(config: VisionTransformerConfig, kind: str) -> Iterator[str]:
    """What is the same function, but not the same when it is trained on, or sees images of other sizes."""
    if config.drop_path_rate and kind in ("vit", "deit", "clip_vision_model", "siglip_vision_model"):
        yield f"drop_path_rate={config.drop_path_rate} is left out: {kind} drops no paths in training"
    elif config.drop_path_rate and kind != "beit":
        yield f"drop_path_rate={config.drop_path_rate} holds for every layer of {kind}, where ours grows from 0"
    if config.hidden_dropout_prob != config.embedding_dropout_prob:
        yield f"embedding_dropout_prob={config.embedding_dropout_prob} follows hidden_dropout_prob in {kind}"
    if config.label_smoothing:
        yield f"label_smoothing={config.label_smoothing} is left out: {kind} has a loss without it"
    if config.position_embedding in ("sincos_2d", "none") and kind != "beit":
        yield f"position_embedding={config.position_embedding!r} becomes a table, which training changes"


def unpooled(theirs: Any) -> list[str]:
    if getattr(theirs, "pooler", "none") is not None:
        return []
    return ["it has no pooler: load it with add_pooling_layer=False, or AutoModel puts an untrained one on it"]


def constant_keys(config: VisionTransformerConfig, kind: str) -> Table:
    """Keys that theirs always have and that change nothing, where ours have none."""
    table = []
    if config.layer_scale_init_value is None and kind in SCALED:
        table += rules.no_scales(SCALED[kind], config.hidden_size)
    if not config.qkv_bias and kind in BIASED:
        table += rules.no_attention_biases(*BIASED[kind], config.attention_head_size * config.num_attention_heads)
    return table
