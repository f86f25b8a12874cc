"""Models of timm, live and in files, as ours, and ours as timm's. Each family converts its own."""

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import UserError, require_library
from ...families import FAMILIES, family_of
from ...families.base import Converter
from ...hub.download import local
from ..core.checkpoint_files import open_checkpoint
from ..core.parity import Runnable
from ..core.preprocessing import pretrained_cfg_of, timm_label_names
from ..core.rules import listed
from ..core.weights import folded_heads, shapes_of
from .vit_config import kind

logger = logging.getLogger(__name__)


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


def converter_for(theirs: Any) -> Converter:
    """That of the family which takes a live model of timm. Raises: UserError where none does."""
    converters = [converter for family in FAMILIES.values() if (converter := family.timm_converter()) is not None]
    if (found := next((converter for converter in converters if converter.takes(theirs)), None)) is None:
        names = ", ".join(name for converter in converters for name in converter.names)
        raise UserError(
            f"This model of timm has no form in our words: it is a {kind(theirs)}, and only {names} have our blocks."
        )
    return found


def convert_from_timm(theirs: Any, state: Mapping[str, Tensor] | None = None) -> tuple[Any, list[str]]:
    """-> our model, and what is left out. state: the file that the weights of `theirs` are read from, to share them."""
    ours, notes = converter_for(theirs).to_ours(theirs, theirs.state_dict() if state is None else state)
    names = timm_label_names(getattr(theirs, "pretrained_cfg", {}))
    if names is not None and len(names) == ours.config.num_labels:
        ours.config.id2label = dict(enumerate(names))
        ours.config.label2id = {name: number for number, name in enumerate(names)}
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
        if not theirs.state_dict().keys() >= {name for name, _ in theirs.named_buffers()}:  # in no file, so made now
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
    """timm's model with the weights of ours, and in its pretrained_cfg labels and our `processor`.

    share: tensors that are the same in both may be those of `model` themselves, which then is not to be used further.

    Raises: UserError that names the fields that timm cannot represent, and where it has no such models.
    """
    family, state = family_of(model.config), folded_heads(model.state_dict(), model.config)
    if (converter := family.timm_converter()) is None:
        other = "" if family.transformers_converter() is None else "; there is one to transformers"
        raise UserError(f"There is no conversion of a {family.title} to timm{other}.")
    theirs, notes = converter.to_theirs(model, MappingProxyType({**state}) if share else state)
    for note in notes:
        logger.warning("%s: %s", model.config.name_or_path or type(model).__name__, note)
    # Nothing else of what timm has under this name is true of ours.
    architecture = theirs.pretrained_cfg["architecture"]
    theirs.pretrained_cfg = {"architecture": architecture, **pretrained_cfg_of(processor, model.config)}
    return theirs


def save_timm(model: Any, folder: Path, pretrained_cfg: Mapping[str, Any] | None = None) -> None:
    """Write a live model of timm in its Hub's layout, which timm.create_model("local-dir:FOLDER") loads.

    pretrained_cfg: entries of timm's, laid over those of the model; see `pretrained_cfg_of`.

    Raises: UserError for norms whose eps timm's JSON cannot say.
    """
    sayable = converter_for(model).saved_eps
    norm: Any = next(module for name, module in model.named_modules() if name.endswith("norm1"))
    if sayable and norm.eps not in sayable:
        known = " or ".join(f"{one:g}" for one in sayable)
        raise UserError(
            f"timm's config.json cannot represent layer_norm_eps={norm.eps:g}, only {known}. Load the model with one "
            f"of these, as from_pretrained(..., layer_norm_eps={min(sayable):g}), and compare; or use to_timm, "
            "whose live model has it."
        )
    model.pretrained_cfg = {**model.pretrained_cfg, **(pretrained_cfg or {})}
    required_timm().models.save_for_hf(model, folder, safe_serialization=True)


def timm_runnable(model: Any) -> Runnable:
    return converter_for(model).runnable(model)
