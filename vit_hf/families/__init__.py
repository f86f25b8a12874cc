"""The families of models, one record each; other packages bring theirs through the entry points `vit_hf.families`."""

import sys
import warnings
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import transformers.models.auto as auto

from ..errors import UserError
from .base import AWAITED, Family
from .swin import SwinTransformer
from .timesformer import TimeSformer
from .vit import VisionTransformer

__all__ = [
    "FAMILIES",
    "Family",
    "auto_name",
    "family_of",
    "family_of_model",
    "find_family",
    "register",
    "task_of",
]

GROUP = "vit_hf.families"

# By the name that a recipe says.
FAMILIES: dict[str, Family] = {}


def register(family: Family) -> None:
    """Make a family known: here by its name, and to transformers' Auto classes.

    Raises: UserError where another family has the name or the model type already, and for names of classes that do not
        say what they are for.
    """
    for taken in FAMILIES.values():
        if type(taken) is type(family):
            return
        for what in ("name", "model_type"):
            if getattr(taken, what) == getattr(family, what):
                raise UserError(
                    f"Two families have the {what} {getattr(family, what)!r}: {taken.title} ({type(taken).__module__}) "
                    f"and {family.title} ({type(family).__module__}); rename one of them, or uninstall its package."
                )
    for model_class in family.classes.values():
        ending_of(model_class.__name__)
    auto.AutoConfig.register(family.model_type, family.config_class)
    for name, model_class in family.classes.items():
        getattr(auto, name).register(family.config_class, model_class)
    if family.video_processor is not None:
        # Under the name that needs no torchvision.
        from transformers.models.auto.video_processing_auto import AutoVideoProcessor

        AutoVideoProcessor.register(family.config_class, family.video_processor)
    FAMILIES[family.name] = family


def register_own() -> None:
    for family in (VisionTransformer(), SwinTransformer(), TimeSformer()):
        register(family)


def register_installed() -> None:
    """The families that other packages bring."""
    for point in sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value)):
        if half_imported(point):  # because it imports this package first
            AWAITED[point.module.partition(".")[0], point.attr] = point
        else:
            register_entry(point)


def half_imported(point: EntryPoint) -> bool:
    module = sys.modules.get(point.module)
    return bool(getattr(getattr(module, "__spec__", None), "_initializing", False)) and not hasattr(module, point.attr)


def register_entry(point: EntryPoint, record: type[Family] | None = None) -> None:
    """record: the class that it names, where that is at hand. A family that cannot be had is missing, with a warning
    that says why: whoever uses another family is not stopped by it."""
    try:
        register(record() if record is not None else record_of(point))
    except Exception as error:  # noqa: BLE001 (whatever another's package raises)
        package = point.dist.name if point.dist else point.module
        reason = error if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        warnings.warn(
            f"The family {point.name!r}, which the package {package} brings ({point.value}), is left out: {reason}",
            stacklevel=2,
        )


def record_of(point: EntryPoint) -> Family:
    """Raises: UserError where an entry point names something else, and whatever its module raises."""
    record = point.load()
    if not (isinstance(record, type) and issubclass(record, Family)):
        raise UserError(f"{point.value} is a {type(record).__name__}, and no subclass of vit_hf.families.Family.")
    return record()


def find_family(model_type: str) -> Family | None:
    """By what its configurations are called; None for what is not known here."""
    return next((family for family in FAMILIES.values() if family.model_type == model_type), None)


def family_of_model(model: Any) -> Family | None:
    """None for a model of somebody else's, which need not have a configuration."""
    return find_family(getattr(getattr(model, "config", None), "model_type", ""))


def family_of(config: Any) -> Family:
    """The family of a configuration. Raises: UserError for one of somebody else's."""
    if (family := find_family(config.model_type)) is None:
        known = ", ".join(f"{one.model_type} ({one.title})" for one in FAMILIES.values())
        raise UserError(f"{config.model_type!r} is no family that vit_hf knows; those are {known}.")
    return family


# The Hub's name of what a class is for, by the ending of the class's name.
TASKS = {
    "ForImageClassification": "image-classification",
    "ForVideoClassification": "video-classification",
    "ForMaskedImageModeling": None,
    "Backbone": "image-feature-extraction",
    "Model": "image-feature-extraction",
}


def ending_of(class_name: str) -> str:
    """Raises: UserError for a name from which nobody can tell what the class is for."""
    if (found := next((ending for ending in TASKS if class_name.endswith(ending)), None)) is None:
        raise UserError(f"{class_name} ends in none of {', '.join(TASKS)}, by which the Hub knows what it is for.")
    return found


def auto_name(class_name: str) -> str:
    """The Auto class that finds it."""
    ending = ending_of(class_name)
    return f"Auto{ending}" if ending.startswith(("Model", "Backbone")) else f"AutoModel{ending}"


def task_of(class_name: str) -> str | None:
    return TASKS[ending_of(class_name)]
