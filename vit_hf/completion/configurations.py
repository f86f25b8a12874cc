"""Configurations that refuse what no model can be built from: misspelt fields, and numbers that do not go together."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import fields
from difflib import get_close_matches
from functools import wraps
from typing import Any

from huggingface_hub.errors import StrictDataclassError
from transformers import PreTrainedConfig

from ..families import Family, load
from ..version import __version__
from .combinations import CHECKS

logger = logging.getLogger(__name__)

# What transformers itself hands to a configuration beside its fields and properties.
HANDED_BY_TRANSFORMERS = {
    "attn_implementation",
    "auto_map",
    "custom_pipelines",
    "experts_implementation",
    "fusion_config",
    "is_decoder",
    "name_or_path",
    "out_features",
    "out_indices",
    "output_attentions",
    "quantization_config",
    "stage_names",
    "task_specific_params",
    "tie_word_embeddings",
    "torchscript",
    "use_bfloat16",
    "use_cache",
}

# Which version of the package wrote the code beside a configuration.
VERSION_NOTE = "vit_hf_version"


class ConfigurationError(ValueError, StrictDataclassError):
    """A value that a configuration cannot hold; the message says which, why, and what would do."""


def complete(family: Family) -> None:
    """Give the configuration of a family its checks."""
    complete_class(load(family.config), CHECKS[family.model_type])


def complete_class(config_class: Any, checks: list[Callable[[Any], None]]) -> None:
    """Misspelt names are refused where they come in, and all that `checks` refuse at every validation.

    All complaints, transformers' own too, are ValueErrors that consist of the sentence alone.
    """
    after_init, validate, from_dict = config_class.__post_init__, config_class.validate, config_class.from_dict

    def checked_after_init(self, **kwargs):
        for name in kwargs:
            if not knows(config_class, name):
                raise ConfigurationError(unknown(config_class, name))
        after_init(self, **kwargs)

    def checked(self):
        validate(self)
        for check in checks:
            check(self)

    config_class.__post_init__ = checked_after_init
    config_class.__init__ = complaining_in_a_sentence(config_class.__init__)
    config_class.__setattr__ = complaining_in_a_sentence(config_class.__setattr__)
    config_class.validate = complaining_in_a_sentence(checked)
    config_class.from_dict = classmethod(keeping_notes(from_dict.__func__))
    config_class.save_pretrained = naming_the_version(config_class.save_pretrained)


def complaining_in_a_sentence(method):
    @wraps(method)
    def wrapper(*args, **kwargs):
        try:
            return method(*args, **kwargs)
        except ConfigurationError:
            raise
        except StrictDataclassError as error:
            raise ConfigurationError(str(error.__cause__ or error)) from error

    return wrapper


def keeping_notes(from_dict):
    """What someone else noted in a saved configuration is kept and told of; a slip of the pen is not."""

    @wraps(from_dict)
    def wrapper(cls, config_dict, **kwargs):
        notes = {name: value for name, value in config_dict.items() if is_note(cls, name)}
        known = {name: value for name, value in config_dict.items() if name not in notes}
        config = from_dict(cls, known, **kwargs)
        for name, value in notes.items():
            if name != VERSION_NOTE:
                unused = f"The saved configuration holds {name}={value!r}, which {cls.__name__} does not use."
                logger.warning("%s%s", unused, writer_of(notes))
            setattr(config[0] if isinstance(config, tuple) else config, name, value)
        return config

    return wrapper


def naming_the_version(save):
    """Say who wrote the code beside the configuration, and name no head's file that is not there."""

    @wraps(save)
    def wrapper(self, *args, **kwargs):
        setattr(self, VERSION_NOTE, __version__)
        saved, always = self.architectures or [], type(self)().auto_map
        code = self.auto_map.items()
        self.auto_map = {auto: name for auto, name in code if auto in always or name.split(".")[-1] in saved}
        return save(self, *args, **kwargs)

    return wrapper


def writer_of(saved: Mapping[str, Any]) -> str:
    """A sentence where another version of the package wrote what is read."""
    version = saved.get(VERSION_NOTE, __version__)
    return "" if version == __version__ else f" vit_hf {version} wrote it, and this is {__version__}."


def own_fields(config_class: Any) -> list[str]:
    return sorted({field.name for field in fields(config_class)} - {field.name for field in fields(PreTrainedConfig)})


def knows(config_class: Any, name: str) -> bool:
    of_transformers = name in HANDED_BY_TRANSFORMERS or hasattr(PreTrainedConfig, name)
    return of_transformers or name in own_fields(config_class) or name.startswith("_")


def is_note(config_class: Any, name: str) -> bool:
    """Unknown, and too far from any field to be one misspelt."""
    near = get_close_matches(name, own_fields(config_class), n=1, cutoff=0.9)
    return not knows(config_class, name) and not near


def unknown(config_class: Any, name: str) -> str:
    own = own_fields(config_class)
    near = get_close_matches(name, own, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"its fields are {', '.join(own)}."
    return f"{config_class.__name__} has no field {name!r}; {hint}"
