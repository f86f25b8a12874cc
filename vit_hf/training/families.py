"""The model families that a recipe can name."""

from dataclasses import fields
from typing import Any

from ..models.configuration_vit import VisionTransformerConfig
from ..models.modeling_vit import VisionTransformerForImageClassification, VisionTransformerForMaskedImageModeling

FAMILIES: dict[str, tuple[Any, Any]] = {
    "vit": (VisionTransformerConfig, VisionTransformerForImageClassification),
}

# Those that can paint masked images.
PAINTERS: dict[str, Any] = {"vit": VisionTransformerForMaskedImageModeling}


def config_fields(family: str) -> list[str]:
    """The names that the config of a family understands."""
    return [field.name for field in fields(FAMILIES[family][0]) if field.init]


def build_classifier(family: str, settings: dict[str, Any], label_names: list[str]):
    """A new model with random weights, that knows its labels by name."""
    config_class, model_class = FAMILIES[family]
    config = config_class(
        **settings,
        id2label=dict(enumerate(label_names)),
        label2id={name: number for number, name in enumerate(label_names)},
    )
    return model_class(config)


def build_painter(family: str, settings: dict[str, Any]):
    """A new model that paints what is masked of its images; a classifier is made of it with `from_pretrained`."""
    if family not in PAINTERS:
        raise ValueError(f"The family {family} has no model for masked images; {', '.join(PAINTERS)} has.")
    return PAINTERS[family](FAMILIES[family][0](**settings))
