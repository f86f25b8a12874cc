"""What the configurations of all families share: a misspelt field is refused, and every refusal is a ValueError."""

import logging
from dataclasses import fields
from difflib import get_close_matches
from functools import wraps

from huggingface_hub.dataclasses import strict
from huggingface_hub.errors import StrictDataclassError
from transformers import PreTrainedConfig

from .shapes import Size, pair

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


class ConfigurationError(ValueError, StrictDataclassError):
    """A value that a configuration cannot hold; the message says which, why, and what would do."""


def validated(config_class):
    """transformers' `@strict`, whose complaints become ValueErrors that consist of the sentence alone."""
    config_class = strict(config_class)
    for name in ("__init__", "__setattr__", "validate"):
        setattr(config_class, name, complaining_in_a_sentence(getattr(config_class, name)))
    return config_class


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


class VisionConfig(PreTrainedConfig):
    """A configuration that knows its own words."""

    def __post_init__(self, **kwargs):
        for name in kwargs:
            if not self.knows(name):
                raise ConfigurationError(self.unknown(name))
        super().__post_init__(**kwargs)

    @classmethod
    def from_dict(cls, config_dict, **kwargs):
        """As in transformers. What someone else noted in a saved configuration is kept; a slip of the pen is not."""
        notes = {name: value for name, value in config_dict.items() if cls.is_note(name)}
        config = super().from_dict({name: value for name, value in config_dict.items() if name not in notes}, **kwargs)
        for name, value in notes.items():
            logger.warning("The saved configuration holds %s=%r, which %s does not use.", name, value, cls.__name__)
            setattr(config[0] if isinstance(config, tuple) else config, name, value)
        return config

    @classmethod
    def own_fields(cls) -> list[str]:
        return sorted({field.name for field in fields(cls)} - {field.name for field in fields(PreTrainedConfig)})

    @classmethod
    def knows(cls, name: str) -> bool:
        of_transformers = name in HANDED_BY_TRANSFORMERS or hasattr(PreTrainedConfig, name)
        return of_transformers or name in cls.own_fields() or name.startswith("_")

    @classmethod
    def is_note(cls, name: str) -> bool:
        """Unknown, and too far from any field to be one misspelt."""
        return not cls.knows(name) and not get_close_matches(name, cls.own_fields(), n=1, cutoff=0.9)

    @classmethod
    def unknown(cls, name: str) -> str:
        near = get_close_matches(name, cls.own_fields(), n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"its fields are {', '.join(cls.own_fields())}."
        return f"{cls.__name__} has no field {name!r}; {hint}"

    def require_positive(self, *names: str) -> None:
        for name in names:
            value = getattr(self, name)
            if value <= 0:
                raise ValueError(f"{name}={value} must be greater than 0.")

    def require_share(self, *names: str) -> None:
        """Each named field lies in [0, 1)."""
        for name in names:
            value = getattr(self, name)
            if not 0 <= value < 1:
                raise ValueError(f"{name}={value} must be at least 0 and less than 1.")

    def require_size(self, *names: str) -> None:
        """Each named field is a number of pixels, or [height, width]."""
        for name in names:
            size: Size = getattr(self, name)
            if not isinstance(size, int) and len(size) != 2:
                raise ValueError(f"{name}={size} must be one number of pixels, or [height, width].")
            if min(pair(size)) <= 0:
                raise ValueError(f"{name}={size} must be greater than 0.")
