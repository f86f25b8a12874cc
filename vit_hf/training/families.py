"""The model families that a recipe can name."""

from dataclasses import fields
from typing import Any

from ..models.configuration_vit import VisionTransformerConfig
from ..models.modeling_vit import VisionTransformerForImageClassification

FAMILIES: dict[str, tuple[Any, Any]] = {
    "vit": (VisionTransformerConfig, VisionTransformerForImageClassification),
}


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
