"""A saved model of transformers' own, live, with every one of its weights accounted for."""

import logging
import re
from functools import partial
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import transformers
from safetensors import SafetensorError
from transformers import AutoConfig, PreTrainedModel

from ...errors import UserError
from ...families import find_family
from ...hub.download import local
from ..core.rules import listed

logger = logging.getLogger(__name__)

# Of models of images and texts only the tower of images is read.
TOWERS = {"CLIPModel": "CLIPVisionModel", "SiglipModel": "SiglipVisionModel"}
OF_TEXTS = ("text_model.", "text_projection.", "visual_projection.", "logit_")
POOLER = {"pooler.dense.weight", "pooler.dense.bias"}


def open_transformers(source: str | Path) -> PreTrainedModel:
    """The live model that a folder or the Hub holds, of the class that saved it, in its dtype.

    Raises: UserError for folders of other things, and for weights that are damaged, missing or strange.
    """
    folder = local(source)
    if not (folder / "config.json").is_file():
        raise UserError(f"{source} is no folder of transformers: it has no config.json. from_original reads files.")
    config = read(AutoConfig.from_pretrained, folder)
    model_class = class_of(config, source)
    load = partial(read, partial(model_class.from_pretrained, dtype="auto", output_loading_info=True), folder)
    model, info = load()
    if set(info["missing_keys"]) == POOLER:
        model, info = load(add_pooling_layer=False)
    if missing := info["missing_keys"]:
        raise UserError(f"{source} lacks {listed(missing)}, which {model_class.__name__} needs; copy it again.")
    account_for([key for key in info["unexpected_keys"] if not key.startswith(OF_TEXTS)], source, model_class.__name__)
    return model


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


def account_for(strange: list[str], source: str | Path, name: str) -> None:
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
    except (SafetensorError, UnpicklingError, OSError, RuntimeError, ValueError, KeyError) as error:
        reason = next((line for line in str(error).split("\n") if line.strip()), type(error).__name__)
        raise UserError(
            f"{folder} cannot be loaded by transformers ({reason.strip()}); the files are damaged, or do not belong "
            "together. Copy or download them again."
        ) from error
