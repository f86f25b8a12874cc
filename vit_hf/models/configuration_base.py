"""What the configurations of all families share: a misspelt field is refused, and every refusal is a ValueError."""

from difflib import get_close_matches
from functools import wraps

from huggingface_hub.dataclasses import strict
from huggingface_hub.errors import StrictDataclassError
from transformers import PreTrainedConfig

from .shapes import Size, pair

# What transformers itself hands to a configuration beside its fields and properties.
HANDED_BY_TRANSFORMERS = {
    "attn_implementation",
    "auto_map",
    "experts_implementation",
    "fusion_config",
    "is_decoder",
    "name_or_path",
    "output_attentions",
    "quantization_config",
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
            if not self.takes(name):
                raise ConfigurationError(self.unknown(name))
        super().__post_init__(**kwargs)

    def takes(self, name: str) -> bool:
        return name.startswith("_") or name in HANDED_BY_TRANSFORMERS or hasattr(PreTrainedConfig, name)

    def unknown(self, name: str) -> str:
        fields = self.__dataclass_fields__
        near = get_close_matches(name, fields, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"its fields are {', '.join(sorted(fields))}."
        return f"{type(self).__name__} has no field {name!r}; {hint}"

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
