"""The families of models, by name alone: importing one costs seconds, and who asks often wants no more than a name."""

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from .modality import IMAGE, VIDEO, Modality


@dataclass(frozen=True)
class Family:
    """model_type: what its configuration is called. title: what people call it. modality: what it sees.

    config, classes: where a class lies, as "module.Class" in vit_hf.models; `classes` by the Auto class that finds it.
    video_processor: where that of its videos lies.
    """

    model_type: str
    title: str
    modality: Modality
    config: str
    classes: dict[str, str]
    video_processor: str | None = None

    @property
    def places(self) -> list[str]:
        """Of all its public classes."""
        return [self.config, *self.classes.values(), *([self.video_processor] if self.video_processor else [])]

    @property
    def classifier(self) -> str:
        """Where its class for the problem with labels lies."""
        return self.classes[self.modality.auto_classifier]


# By the word that a recipe says.
FAMILIES = {
    "vit": Family(
        model_type="vit_hf",
        title="Vision Transformer",
        modality=IMAGE,
        config="configuration_vit.VisionTransformerConfig",
        classes={
            "AutoModel": "modeling_vit.VisionTransformerModel",
            "AutoModelForImageClassification": "modeling_vit.VisionTransformerForImageClassification",
            "AutoModelForMaskedImageModeling": "modeling_vit_masked.VisionTransformerForMaskedImageModeling",
            "AutoBackbone": "modeling_vit_backbone.VisionTransformerBackbone",
        },
    ),
    "swin": Family(
        model_type="swin_hf",
        title="Swin Transformer",
        modality=IMAGE,
        config="configuration_swin.SwinTransformerConfig",
        classes={
            "AutoModel": "modeling_swin.SwinTransformerModel",
            "AutoModelForImageClassification": "modeling_swin.SwinTransformerForImageClassification",
            "AutoBackbone": "modeling_swin_backbone.SwinTransformerBackbone",
        },
    ),
    "timesformer": Family(
        model_type="timesformer_hf",
        title="TimeSformer",
        modality=VIDEO,
        config="configuration_timesformer.TimeSformerConfig",
        classes={
            "AutoModel": "modeling_timesformer.TimeSformerModel",
            "AutoModelForVideoClassification": "modeling_timesformer.TimeSformerForVideoClassification",
        },
        video_processor="video_processing_timesformer.TimeSformerVideoProcessor",
    ),
}

# By the name of each public class, its module.
WHERE = {
    name: module
    for family in FAMILIES.values()
    for module, _, name in (place.partition(".") for place in family.places)
}


def load(place: str) -> Any:
    """The class at "module.Class" of vit_hf.models."""
    module, _, name = place.partition(".")
    return getattr(import_module(f"{__package__}.models.{module}"), name)


def word_of(model_type: str) -> str | None:
    """What a recipe calls the family of a configuration; None for none of ours."""
    return next((word for word, family in FAMILIES.items() if family.model_type == model_type), None)


def family_of(config: Any) -> Family:
    """The family of a configuration of ours. Raises: KeyError for that of someone else."""
    return next(family for family in FAMILIES.values() if family.model_type == config.model_type)


# The Hub's word for it.
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
