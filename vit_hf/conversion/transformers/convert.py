"""Models of transformers' own, live and in folders, as ours, and ours as its own. Each family converts its own."""

import logging
import re
from functools import partial
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import transformers
from safetensors import SafetensorError
from transformers import CONFIG_MAPPING, AutoConfig, PreTrainedModel

from ...errors import UserError
from ...families import FAMILIES, family_of, find_family
from ...families.base import Converter
from ...files import read_json
from ...hub.download import local
from ...hub.saved_files import READING_FAILS, refuse_wrong_files, told
from ..core.parity import Runnable
from ..core.rules import listed
from ..core.weights import folded_heads

logger = logging.getLogger(__name__)

# Of models of images and texts only the tower of images is read.
TOWERS = {"CLIPModel": "CLIPVisionModel", "SiglipModel": "SiglipVisionModel"}
OF_TEXTS = ("text_model.", "text_projection.", "visual_projection.", "logit_")
POOLER = {"pooler.dense.weight", "pooler.dense.bias"}


def from_transformers(source: Any) -> Any:
    """Our model with the weights of one of transformers' own, with the head that it has.

    source: a live model, or the folder or id of a saved one.

    Raises: UserError for what our words cannot say, and for weights that are not all there.
    """
    theirs = source if isinstance(source, PreTrainedModel) else open_transformers(source)
    ours, notes = convert_from_transformers(theirs)
    for note in notes:
        logger.warning("%s: %s", theirs.config.name_or_path or type(theirs).__name__, note)
    return ours


def converter_for(theirs: Any) -> Converter:
    """That of the family which takes a live model of transformers. Raises: UserError where none does."""
    converters = [one for family in FAMILIES.values() if (one := family.transformers_converter()) is not None]
    if (found := next((converter for converter in converters if converter.takes(theirs)), None)) is None:
        names = ", ".join(name for converter in converters for name in converter.names)
        raise UserError(f"{type(theirs).__name__} has no like among our models; of transformers those of {names} have.")
    return found


def convert_from_transformers(theirs: Any) -> tuple[Any, list[str]]:
    """-> our model, and what is left out."""
    return converter_for(theirs).to_ours(theirs, theirs.state_dict())


def to_transformers(model: Any) -> PreTrainedModel:
    """One of transformers' own models with the weights of ours, which loads where no code of ours is.

    Raises: UserError that names the fields, and their values, that none of them can represent.
    """
    theirs, notes = convert_to_transformers(model)
    for note in notes:
        logger.warning("%s: %s", model.config.name_or_path or type(model).__name__, note)
    return theirs


def convert_to_transformers(model: Any) -> tuple[PreTrainedModel, list[str]]:
    """-> a live model, and what changes in training or at other sizes."""
    family = family_of(model.config)
    if (converter := family.transformers_converter()) is None:
        raise UserError(f"There is no conversion of a {family.title} to transformers' own models.")
    return converter.to_theirs(model, folded_heads(model.state_dict(), model.config))


def transformers_runnable(model: Any) -> Runnable:
    return converter_for(model).runnable(model)


def open_transformers(source: str | Path) -> PreTrainedModel:
    """The live model that a folder or the Hub holds, of the class that saved it, in its dtype.

    Raises: UserError for folders of other things, and for weights that are damaged, missing or strange.
    """
    folder = local(source)
    if not (folder / "config.json").is_file():
        raise UserError(f"{source} is no folder of transformers: it has no config.json. from_original reads files.")
    refuse_wrong_files(folder, str(source))
    refuse_unknown_type(folder, source)
    config = read(partial(AutoConfig.from_pretrained, trust_remote_code=False), folder)
    model_class = class_of(config, source)
    load = partial(read, partial(model_class.from_pretrained, dtype="auto", output_loading_info=True), folder)
    model, info = load()
    if set(info["missing_keys"]) == POOLER:
        model, info = load(add_pooling_layer=False)
    if missing := info["missing_keys"]:
        raise UserError(f"{source} lacks {listed(missing)}, which {model_class.__name__} needs; copy it again.")
    refuse_unread_layers(
        [key for key in info["unexpected_keys"] if not key.startswith(OF_TEXTS)], source, model_class.__name__
    )
    return model


def refuse_unknown_type(folder: Path, source: str | Path) -> None:
    """Code that lies beside weights is not run for a conversion. Raises: UserError."""
    said = read_json(folder / "config.json").get("model_type")
    if said is not None and said not in CONFIG_MAPPING:
        raise UserError(f"{source} is of a model of type {said!r}, which this version of transformers does not know.")


def class_of(config: Any, source: str | Path) -> Any:
    """The class of transformers' that saved a model."""
    if find_family(config.model_type):
        raise UserError(f"{source} holds a model of vit_hf already; load it with from_pretrained.")
    if not config.architectures:
        raise UserError(f"{source} does not say which class saved it (architectures in config.json); give it live.")
    saved_by: str = config.architectures[0]
    name = TOWERS.get(saved_by, saved_by)
    if (model_class := getattr(transformers, name, None)) is None:
        raise UserError(f"{source} says that {name} saved it, which transformers does not have; give it live.")
    return model_class


def refuse_unread_layers(strange: list[str], source: str | Path, name: str) -> None:
    """Raises: UserError for layers that the configuration knows nothing of; other keys are named in the log."""
    if layers := [key for key in strange if re.search(r"layers?\.\d+\.", key)]:
        raise UserError(
            f"{source} holds {listed(layers)}, for which its configuration builds no place in {name}; "
            "config.json and the weights are of two different models."
        )
    if strange:
        logger.warning("%s: %s are left out; %s has no place for them.", source, listed(strange), name)


def read(load: Any, folder: Path, **options: Any) -> Any:
    """Raises: UserError with the first line of what transformers complains of."""
    try:
        return load(folder, **options)
    except (SafetensorError, UnpicklingError, *READING_FAILS) as error:
        raise UserError(
            f"{folder} cannot be loaded by transformers ({told(error)}); the files are damaged, or do not belong "
            "together. Copy or download them again."
        ) from error
