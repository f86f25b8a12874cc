"""Configurations that refuse what no model can be built from: misspelt fields, and numbers that do not go together."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import fields
from difflib import get_close_matches
from functools import cache, wraps
from typing import Any

from huggingface_hub.errors import StrictDataclassError
from transformers import PreTrainedConfig

from ..errors import UserError
from ..files import refuse_depths
from ..version import __version__
from .saved_fields import COPY_AGAIN, OWN_KINDS, refuse_unknown_quantization, refuse_vast_number, refuse_wrong_kinds

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

# What only a regression has, and no other configuration writes down.
TARGET_UNITS = ("target_mean", "target_std")
# Which version of the package wrote the code beside a configuration.
VERSION_NOTE = "vit_hf_version"
# What we note ourselves, and use: that, and from which probability on an image has a label, where it may have several.
OWN_NOTES = (VERSION_NOTE, "thresholds")


class ConfigurationError(UserError, StrictDataclassError):
    """A value that a configuration cannot hold; the message says which, why, and what would do."""


class CheckedConfig:
    """What our configurations inherit in the package: misspelt fields are refused where they come in, combinations that
    no model can be built from at every validation, and what others noted in a configuration is kept.

    A configuration that a person types holds known fields alone. What a configuration has written, which says the
    version of the package, may hold notes: it makes an equal one, nested in that of a composite model too.
    """

    def __post_init__(self, **kwargs: Any) -> None:
        unsaid = [name for name in kwargs if not knows(type(self), name)]
        strange = unsaid if VERSION_NOTE not in kwargs else [name for name in unsaid if name.startswith("__")]
        if strange:
            raise ConfigurationError(unknown(type(self), strange[0]))
        for name in kwargs:
            if is_worked_out(type(self), name):
                raise ConfigurationError(unsettable(type(self), name))
        said = {**vars(self), **kwargs}
        refuse_wrong_kinds(said, OWN_KINDS)
        refuse_unknown_quantization(said)
        for name in own_fields(type(self)):
            refuse_vast_number(name, getattr(self, name, None))
        super().__post_init__(**{VERSION_NOTE: __version__, **kwargs})  # pyright: ignore[reportAttributeAccessIssue]

    def set_output_features_output_indices(self, out_features: Any, out_indices: Any) -> None:
        """As in transformers, of a backbone's layers, by their names or numbers."""
        refuse_wrong_kinds({"out_features": out_features, "out_indices": out_indices}, OWN_KINDS)
        super().set_output_features_output_indices(  # pyright: ignore[reportAttributeAccessIssue]
            out_features=out_features, out_indices=out_indices
        )

    def __setattr__(self, name: str, value: Any) -> None:
        """As in transformers; a name that is nearly that of a field is refused, so that none is ever saved."""
        if is_misspelt(type(self), name):
            raise ConfigurationError(unknown(type(self), name))
        super().__setattr__(name, value)

    def validate_combinations(self) -> None:
        """As all `validate_*`, called when a configuration is made, saved, and built into a model."""
        from ..families import find_family  # which holds the classes that inherit this

        family = find_family(self.model_type)  # pyright: ignore[reportAttributeAccessIssue]
        for check in () if family is None else family.checks:
            check(self)

    @classmethod
    def from_dict(cls, config_dict: Mapping[str, Any], **kwargs: Any) -> Any:
        """As in transformers; a note of somebody else's is kept and told of, a misspelt field is refused."""
        refuse_other_family(cls, config_dict)
        said = {VERSION_NOTE: __version__, **config_dict}
        std = said.get("target_std")
        units = len(std) if isinstance(std, list | tuple) else 0
        if kwargs.get("num_labels", units) != units:  # other labels, other units
            said |= dict.fromkeys(TARGET_UNITS)
        config = super().from_dict(said, **kwargs)  # pyright: ignore[reportAttributeAccessIssue]
        for name, value in config_dict.items():
            if not knows(cls, name) and name not in OWN_NOTES:
                unused = f"The saved configuration holds {name}={value!r}, which {cls.__name__} does not use."
                logger.warning("%s%s", unused, writer_of(said))
        return config

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, **kwargs: Any) -> Any:
        """As in transformers. Raises: ConfigurationError that says whose configuration it is."""
        source = pretrained_model_name_or_path
        try:
            return super().from_pretrained(source, **kwargs)  # pyright: ignore[reportAttributeAccessIssue]
        except ConfigurationError as error:
            if str(source) in str(error):
                raise
            raise ConfigurationError(f"{source}: {error}") from error

    @classmethod
    def get_config_dict(cls, pretrained_model_name_or_path: Any, **kwargs: Any) -> tuple[Any, Any]:
        """As in transformers. Raises: UserError too for JSON that holds no fields, or too deep a nesting of them."""
        source = pretrained_model_name_or_path
        try:
            content, rest = super().get_config_dict(source, **kwargs)  # pyright: ignore[reportAttributeAccessIssue]
        except (RecursionError, TypeError, AttributeError) as error:
            why = "it is nested too deeply" if isinstance(error, RecursionError) else "it is no table of fields"
            raise ConfigurationError(
                f"The config.json of {source} holds no configuration: {why}; {COPY_AGAIN}"
            ) from error
        if not isinstance(content, Mapping):
            raise ConfigurationError(
                f"The config.json of {source} holds no configuration, but a {type(content).__name__}; {COPY_AGAIN}"
            )
        refuse_depths(content, f"{source}: config.json")
        refuse_wrong_kinds(content, OWN_KINDS, f"{source}: config.json")
        return content, rest

    def to_dict(self) -> dict[str, Any]:
        """As in transformers; where there are no units of targets nothing is said of them."""
        words = super().to_dict()  # pyright: ignore[reportAttributeAccessIssue]
        return {name: value for name, value in words.items() if name not in TARGET_UNITS or value is not None}

    def save_pretrained(self: Any, *args: Any, **kwargs: Any) -> Any:
        """As in transformers; it says who wrote the code beside it, and names no head's file that is not there."""
        setattr(self, VERSION_NOTE, __version__)
        saved, always = self.architectures or [], getattr(type(self)(), "auto_map", {})
        if code := getattr(self, "auto_map", None):
            named = code.items()
            self.auto_map = {auto: name for auto, name in named if auto in always or name.split(".")[-1] in saved}
        return super().save_pretrained(*args, **kwargs)  # pyright: ignore[reportAttributeAccessIssue]


def errors_as_sentences(config_class: Any) -> Any:
    """A class decorator, above `@strict`: whatever is refused is a ConfigurationError that is the sentence alone.

    It has to come last, because `@strict` writes these three methods onto each class anew.
    """
    config_class.__init__ = complaining_in_a_sentence(config_class.__init__)
    config_class.__setattr__ = complaining_in_a_sentence(config_class.__setattr__)
    config_class.validate = complaining_in_a_sentence(config_class.validate)
    return config_class


def complaining_in_a_sentence(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            return method(*args, **kwargs)
        except ConfigurationError:
            raise
        except StrictDataclassError as error:
            raise ConfigurationError(str(error.__cause__ or error)) from error
        except IndexError as error:  # of transformers, which looks up stages by their numbers
            raise ConfigurationError("out_indices name a stage that there is not; leave some out.") from error
        except ValueError as error:  # of transformers, or of what is checked before a model is there
            raise ConfigurationError(str(error)) from error

    return wrapper


def writer_of(saved: Mapping[str, Any]) -> str:
    """A sentence where another version of the package wrote what is read."""
    version = saved.get(VERSION_NOTE, __version__)
    return "" if version == __version__ else f" vit_hf {version} wrote it, and this is {__version__}."


@cache
def own_fields(config_class: Any) -> list[str]:
    return sorted({field.name for field in fields(config_class)} - {field.name for field in fields(PreTrainedConfig)})


def knows(config_class: Any, name: str) -> bool:
    settable = isinstance(getattr(config_class, name, None), property)
    of_transformers = settable or name in HANDED_BY_TRANSFORMERS or hasattr(PreTrainedConfig, name)
    hidden = name.startswith("_") and not name.startswith("__")
    return name in own_fields(config_class) or hidden or (of_transformers and not name.startswith("__"))


def is_worked_out(config_class: Any, name: str) -> bool:
    """A property without a field behind it, of our own."""
    found = getattr(config_class, name, None)
    own = not hasattr(PreTrainedConfig, name)
    return own and isinstance(found, property) and found.fset is None and name not in own_fields(config_class)


def unsettable(config_class: Any, name: str) -> str:
    return f"{config_class.__name__} works {name} out from other fields; leave it out."


def refuse_other_family(config_class: Any, saved: Mapping[str, Any]) -> None:
    """Raises: ConfigurationError for what another kind of model wrote."""
    said = saved.get("model_type")
    if said is not None and said != config_class.model_type:
        raise ConfigurationError(
            f"The saved configuration is of a model of type {said!r}, and {config_class.__name__} is for "
            f"{config_class.model_type!r}; load it with the class that saved it, or convert it (`vit-hf convert`)."
        )


@cache
def is_misspelt(config_class: Any, name: str) -> bool:
    """Unknown, and too near to a field to be a note."""
    return not knows(config_class, name) and bool(get_close_matches(name, own_fields(config_class), n=1, cutoff=0.9))


def unknown(config_class: Any, name: str) -> str:
    own = own_fields(config_class)
    near = get_close_matches(name, own, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"its fields are {', '.join(own)}."
    return f"{config_class.__name__} has no field {name!r}; {hint}"
