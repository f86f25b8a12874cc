"""timm's VisionTransformer and ours, both ways."""

import logging
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import UserError, require_library
from ...families import family_of
from ...hub.download import local
from ...models.configuration_vit import VisionTransformerConfig
from ...models.modeling_vit import VisionTransformerForImageClassification, VisionTransformerModel
from ..core.checkpoint_files import open_checkpoint
from ..core.parity import Outputs, Runnable
from ..core.preprocessing import label_names_of, pretrained_cfg_of
from ..core.rules import listed, turned
from ..core.weights import fill, shapes_of
from . import swin
from .vit_config import config_from_timm, kind, timm_arguments
from .vit_rules import timm_table

logger = logging.getLogger(__name__)

# Architectures to hang a configuration on, by the eps of their norms, which timm's JSON cannot say.
ARCHITECTURES = {1e-6: "vit_base_patch16_224", 1e-5: "vit_base_patch16_clip_224"}


def required_timm() -> Any:
    return require_library("timm", "timm")


def from_timm(source: Any, *, architecture: str | None = None) -> Any:
    """Our classifier with the weights of timm's; without a head, our model of its tokens.

    source: a live model of timm, a folder in its Hub's layout, the id of one on the Hub, or a .safetensors file of
        the named `architecture`.

    Raises: UserError for what our words cannot say, for weights that do not fit, for files that cannot be read.
    """
    theirs, state = (source, None) if isinstance(source, nn.Module) else open_timm(source, architecture)
    ours, notes = convert_from_timm(theirs, state)
    for note in notes:
        logger.warning("%s", note)
    return ours


def convert_from_timm(theirs: Any, state: Mapping[str, Tensor] | None = None) -> tuple[Any, list[str]]:
    """-> our model, and what is left out. state: the file that the weights of `theirs` are read from, to share them."""
    if kind(theirs) in swin.KINDS:
        ours, notes = swin.convert_from_timm(theirs, state)
    else:
        ours, notes = convert_vit(theirs, state)
    names = label_names_of(getattr(theirs, "pretrained_cfg", {}))
    if names is not None and len(names) == ours.config.num_labels:
        ours.config.id2label = dict(enumerate(names))
        ours.config.label2id = {name: number for number, name in enumerate(names)}
    return ours, notes


def convert_vit(theirs: Any, state: Mapping[str, Tensor] | None) -> tuple[Any, list[str]]:
    config, notes = config_from_timm(theirs)
    head = theirs.global_pool != ""
    with torch.device("meta"):
        ours = VisionTransformerForImageClassification(config) if head else VisionTransformerModel(config, pool=False)
    table = timm_table(config, no_embed_class=theirs.no_embed_class, head=head)
    fill(ours, theirs.state_dict() if state is None else state, table, config.num_hidden_layers)
    return ours, notes


def open_timm(source: Any, architecture: str | None = None) -> tuple[Any, Mapping[str, Tensor]]:
    """-> the live model of timm that a file, a folder or the Hub holds, and its weights where they lie.

    Raises: UserError for what timm does not know, and for weights of another architecture.
    """
    timm, path = required_timm(), local(source)
    state = open_checkpoint(path)
    if path.is_dir():
        architecture, arguments = f"local-dir:{path}", {}
    elif architecture is None:
        raise UserError(
            f"{source} holds weights alone; name what they are, as in architecture='vit_base_patch16_224', or give a "
            "folder with timm's config.json."
        )
    else:
        arguments = {"num_classes": len(state["head.bias"]) if "head.bias" in state else 0}
    try:
        with torch.device("meta"):
            theirs = timm.create_model(architecture, **arguments)
        if kind(theirs) in swin.KINDS:  # whose masks are in no file, so that they are made now
            theirs = timm.create_model(architecture, **arguments)
    except (RuntimeError, AssertionError, KeyError, TypeError) as error:
        raise UserError(f"{source}: timm {timm.__version__} cannot build it: {error}") from error
    load_timm(theirs, state, source)
    return theirs.eval(), state


def load_timm(theirs: Any, state: Mapping[str, Tensor], source: Any) -> None:
    """Raises: UserError for weights that are not those of the model; an idle attention pool is passed over."""
    shapes = shapes_of(theirs)
    # An idle attention pool, and what follows from the sizes of a Swin Transformer.
    idle = re.compile(r"attn_pool\.|.*\.(relative_position_index|relative_coords_table|attn_mask)$")
    strange = [key for key in state if key not in shapes and not idle.match(key)]
    missing = [key for key in shapes if key not in state]
    if strange or missing:
        lacks = [f"lack {listed(missing)}"] * bool(missing) + [f"have unknown {listed(strange)}"] * bool(strange)
        raise UserError(
            f"The weights in {source} are not of this {type(theirs).__name__} of timm: they {' and '.join(lacks)}."
        )
    tensors = {key: state[key] for key in shapes}
    for key, tensor in tensors.items():
        if tensor.shape != shapes[key]:
            raise UserError(
                f"{source}: {key} is of shape {tuple(tensor.shape)}, but the model that is named there has "
                f"{tuple(shapes[key])}; name the architecture that the weights belong to."
            )
    theirs.load_state_dict(tensors, assign=True)


def to_timm(model: Any, processor: Any = None, *, share: bool = False) -> Any:
    """timm's VisionTransformer with the weights of ours, and in its pretrained_cfg labels and our `processor`.

    share: tensors that are the same in both may be those of `model` themselves, which then is not to be used further.

    Raises: UserError that names the fields that timm cannot represent.
    """
    if model.config.model_type == "swin_hf":
        return swin.to_timm(model, processor, share=share)
    if (family := family_of(model.config)).model_type != "vit_hf":
        raise UserError(f"timm has no models of {family.modality.plural}; transformers has a {family.title}.")
    timm, config = required_timm(), model.config
    state, head = model.state_dict(), hasattr(model, "classifier")
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
    # Nothing of the weights that timm has under this name is true of ours.
    theirs.pretrained_cfg = {"architecture": architecture, **pretrained_cfg_of(processor, config)}
    table = timm_table(config, no_embed_class=no_embed_class, head=head)
    fill(theirs, MappingProxyType(state) if share else state, turned(table), config.num_hidden_layers)
    return theirs


def class_has_no_position(config: VisionTransformerConfig, state: dict[str, Tensor]) -> bool:
    """Whether timm's no_embed_class says the same: nothing is added to the class token."""
    if config.position_embedding in ("none", "sincos_2d") or not config.class_token:
        return True
    table = next(state[key] for key in state if ".positions.table" in f".{key}")
    return not bool(table.reshape(-1, config.hidden_size)[0].any())


def save_timm(model: Any, folder: Path, pretrained_cfg: Mapping[str, Any] | None = None) -> None:
    """Write a live model of timm in its Hub's layout, which timm.create_model("local-dir:FOLDER") loads.

    pretrained_cfg: entries of timm's, laid over those of the model; see `pretrained_cfg_of`.

    Raises: UserError for norms whose eps timm's JSON cannot say.
    """
    timm, sayable = required_timm(), [*ARCHITECTURES]
    if kind(model) in swin.KINDS:
        sayable, block = [swin.EPS], model.layers[0].blocks[0]
    else:
        block = model.blocks[0]
    if (eps := block.norm1.eps) not in sayable:
        known = " or ".join(f"{one:g}" for one in sayable)
        raise UserError(
            f"timm's config.json cannot represent layer_norm_eps={eps:g}, only {known}. Load the model with one of "
            f"these, as from_pretrained(..., layer_norm_eps={min(sayable):g}), and compare; or use to_timm, "
            "whose live model has it."
        )
    model.pretrained_cfg = {**model.pretrained_cfg, **(pretrained_cfg or {})}
    timm.models.save_for_hf(model, folder, safe_serialization=True)


def timm_runnable(model: Any) -> Runnable:
    if kind(model) in swin.KINDS:
        return swin.timm_runnable(model)

    def run(pixel_values: Tensor) -> Outputs:
        tokens = model.forward_features(pixel_values)
        return Outputs(tokens, None if model.global_pool == "" else model.forward_head(tokens))

    return Runnable(model, list(model.blocks), run)
