"""timm's VisionTransformer and ours, both ways."""

from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..models.configuration_vit import VisionTransformerConfig
from ..models.modeling_vit import VisionTransformerForImageClassification, VisionTransformerModel
from .optional import required
from .parity import Outputs, Runnable
from .rules import turned
from .timm_config import config_from_timm, timm_arguments
from .timm_rules import timm_table
from .weights import fill, shapes_of, weights_in

# Architectures to hang a configuration on, by the eps of their norms, which timm's JSON cannot say.
ARCHITECTURES = {1e-6: "vit_base_patch16_224", 1e-5: "vit_base_patch16_clip_224"}


def required_timm() -> Any:
    return required("timm", "timm")


def from_timm(source: Any, *, architecture: str | None = None) -> Any:
    """Our classifier with the weights of timm's; without a head, our model of its tokens.

    source: a live model of timm, a folder in its Hub's layout, the id of one on the Hub, or a .safetensors file of
        the named `architecture`.

    Raises: ValueError for what our words cannot say, for weights that do not fit, for files that cannot be read.
    """
    theirs = source if isinstance(source, nn.Module) else open_timm(source, architecture)
    return convert_from_timm(theirs)[0]


def convert_from_timm(theirs: Any, state: Any = None) -> tuple[Any, list[str]]:
    """-> our model, and what is left out; the weights are those of `state` where it is given."""
    config, notes = config_from_timm(theirs)
    head = theirs.global_pool != ""
    with torch.device("meta"):
        ours = VisionTransformerForImageClassification(config) if head else VisionTransformerModel(config, pool=False)
    table = timm_table(config, no_embed_class=theirs.no_embed_class, head=head)
    fill(ours, theirs.state_dict() if state is None else state, table, config.num_hidden_layers)
    return ours, notes


def to_timm(model: Any) -> Any:
    """timm's VisionTransformer with the weights of ours.

    Raises: ValueError that names the fields that timm cannot represent.
    """
    timm, config = required_timm(), model.config
    state, head = model.state_dict(), hasattr(model, "classifier")
    pooled = head or model.pool is not None
    no_embed_class = class_has_no_position(config, state)
    arguments = timm_arguments(config, pooled=pooled, no_embed_class=no_embed_class)
    if not head:
        arguments["num_classes"] = 0
    architecture = ARCHITECTURES.get(config.layer_norm_eps)
    if architecture is None:
        arguments["norm_layer"] = partial(timm.layers.LayerNorm, eps=config.layer_norm_eps)
    with torch.device("meta"):
        theirs = timm.create_model(architecture or ARCHITECTURES[1e-6], **arguments)
    table = timm_table(config, no_embed_class=no_embed_class, head=head)
    fill(theirs, state, turned(table), config.num_hidden_layers)
    return theirs


def class_has_no_position(config: VisionTransformerConfig, state: dict[str, Tensor]) -> bool:
    """Whether timm's no_embed_class says the same: nothing is added to the class token."""
    if config.position_embedding in ("none", "sincos_2d") or not config.class_token:
        return True
    table = next(state[key] for key in state if ".positions.table" in f".{key}")
    return not bool(table.reshape(-1, config.hidden_size)[0].any())


def open_timm(source: Any, architecture: str | None = None) -> Any:
    """A live model of timm from a folder in its Hub's layout."""
    timm, folder = required_timm(), Path(source)
    with torch.device("meta"):
        theirs = timm.create_model(f"local-dir:{folder}")
    state = weights_in(folder)
    if missing := shapes_of(theirs).keys() ^ state.keys():
        raise ValueError(f"{folder}: {sorted(missing)[:4]} do not belong together with {type(theirs).__name__}.")
    theirs.load_state_dict(dict(state), assign=True)
    return theirs.eval()


def timm_runnable(model: Any) -> Runnable:
    def run(pixel_values: Tensor) -> Outputs:
        tokens = model.forward_features(pixel_values)
        return Outputs(tokens, None if model.global_pool == "" else model.forward_head(tokens))

    return Runnable(model, list(model.blocks), run)
