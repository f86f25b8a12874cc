"""timm's VisionTransformer and ours, both ways."""

from functools import partial
from typing import Any

import torch
from torch import Tensor

from ...errors import require_library
from ...families.base import State
from ...models.configuration_vit import VisionTransformerConfig
from ...models.modeling_vit import VisionTransformerForImageClassification, VisionTransformerModel
from ..core.parity import Outputs, Runnable
from ..core.rules import turned
from ..core.weights import fill
from .vit_config import config_from_timm, kind, timm_arguments
from .vit_rules import timm_table

NAMES = ("VisionTransformer",)
# Architectures to hang a configuration on, by the eps of their norms, which timm's JSON cannot say.
ARCHITECTURES = {1e-6: "vit_base_patch16_224", 1e-5: "vit_base_patch16_clip_224"}


def takes(theirs: Any) -> bool:
    return kind(theirs) in NAMES


def to_ours(theirs: Any, state: State) -> tuple[Any, list[str]]:
    """-> our model, and what is left out."""
    config, notes = config_from_timm(theirs)
    head = theirs.global_pool != ""
    with torch.device("meta"):
        ours = VisionTransformerForImageClassification(config) if head else VisionTransformerModel(config, pool=False)
    table = timm_table(config, no_embed_class=theirs.no_embed_class, head=head)
    fill(ours, state, table, config.num_hidden_layers)
    return ours, notes


def to_theirs(model: Any, state: State) -> tuple[Any, list[str]]:
    """timm's VisionTransformer with the weights of ours."""
    timm, config, head = require_library("timm", "timm"), model.config, hasattr(model, "classifier")
    pooled = head or model.pool is not None
    no_embed_class = class_has_no_position(config, state)
    arguments = timm_arguments(config, pooled=pooled, no_embed_class=no_embed_class)
    if not head:
        arguments["num_classes"] = 0
    architecture = ARCHITECTURES.get(config.layer_norm_eps, ARCHITECTURES[1e-6])
    if config.layer_norm_eps not in ARCHITECTURES:
        arguments["norm_layer"] = partial(timm.layers.LayerNorm, eps=config.layer_norm_eps)
    with torch.device("meta"):
        theirs = timm.create_model(architecture, **arguments)
    theirs.pretrained_cfg = {"architecture": architecture}
    table = timm_table(config, no_embed_class=no_embed_class, head=head)
    fill(theirs, state, turned(table), config.num_hidden_layers)
    return theirs, []


def class_has_no_position(config: VisionTransformerConfig, state: State) -> bool:
    """Whether timm's no_embed_class says the same: nothing is added to the class token."""
    if config.position_embedding in ("none", "sincos_2d") or not config.class_token:
        return True
    table = next(state[key] for key in state if ".positions.table" in f".{key}")
    return not bool(table.reshape(-1, config.hidden_size)[0].any())


def runnable(model: Any) -> Runnable:
    def run(pixel_values: Tensor) -> Outputs:
        tokens = model.forward_features(pixel_values)
        return Outputs(tokens, None if model.global_pool == "" else model.forward_head(tokens))

    return Runnable(model, list(model.blocks), run)
