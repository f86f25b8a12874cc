"""The families of models, one record each; other packages bring theirs through the entry points `vit_hf.families`."""

from importlib.metadata import EntryPoint, entry_points
from typing import Any

import transformers.models.auto as auto

from ..errors import UserError
from .base import Family
from .swin import SwinTransformer
from .timesformer import TimeSformer
from .vit import VisionTransformer

__all__ = [
    "FAMILIES",
    "Family",
    "auto_name",
    "family_of",
    "find_family",
    "register",
    "task_of",
    "word_of",
]

GROUP = "vit_hf.families"

# By the name that a recipe says.
FAMILIES: dict[str, Family] = {}


def register(family: Family) -> None:
    """Make a family known: here by its name, and to transformers' Auto classes.

    Raises: UserError where another family has the name already.
    """
    taken = FAMILIES.setdefault(family.name, family)
    if taken is not family:
        raise UserError(f"Two families are called {family.name!r}: {taken.title} and {family.title}; rename one.")
    auto.AutoConfig.register(family.model_type, family.config_class)
    for name, model_class in family.classes.items():
        getattr(auto, name).register(family.config_class, model_class)
    if family.video_processor is not None:
        # Under the name that needs no torchvision.
        from transformers.models.auto.video_processing_auto import AutoVideoProcessor

        AutoVideoProcessor.register(family.config_class, family.video_processor)


def register_own() -> None:
    for family in (VisionTransformer(), SwinTransformer(), TimeSformer()):
        register(family)


def register_installed() -> None:
    """The families that other packages bring."""
    for point in entry_points(group=GROUP):
        register_entry(point)


def register_entry(point: EntryPoint) -> None:
    """Raises: UserError, naming the package, where what it brings cannot be imported, or is no family."""
    try:
        family = point.load()
    except Exception as error:
        raise UserError(
            f"The family {point.name!r} of {point.value} cannot be loaded ({type(error).__name__}: {error}); mend or "
            "uninstall the package that brings it."
        ) from error
    register(family() if isinstance(family, type) else family)


def word_of(model_type: str) -> str | None:
    """What a recipe calls the family of a configuration; None for none of ours."""
    return next((name for name, family in FAMILIES.items() if family.model_type == model_type), None)


def find_family(model_type: str) -> Family:
    """By what its configurations are called. Raises: KeyError for that of someone else."""
    return FAMILIES[word_of(model_type) or model_type]


def family_of(config: Any) -> Family:
    """The family of a configuration of ours. Raises: KeyError for that of someone else."""
    return find_family(config.model_type)


# The Hub's name of what a class is for, by the ending of the class's name.
TASKS = {
    "ForImageClassification": "image-classification",
    "ForVideoClassification": "video-classification",
    "ForMaskedImageModeling": None,
    "Backbone": "image-feature-extraction",
    "Model": "image-feature-extraction",
}


def ending_of(class_name: str) -> str:
    return next(ending for ending in TASKS if class_name.endswith(ending))


def auto_name(class_name: str) -> str:
    """The Auto class that finds it."""
    ending = ending_of(class_name)
    return f"Auto{ending}" if ending.startswith(("Model", "Backbone")) else f"AutoModel{ending}"


def task_of(class_name: str) -> str | None:
    return TASKS[ending_of(class_name)]
