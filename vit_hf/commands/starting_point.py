"""What a training begins from: random weights, or those of a pretrained model of any library."""

from typing import Any

from ..conversion.licences import licence_sentence
from ..conversion.loading import Loaded, load_any
from ..conversion.preprocessing import for_channels, preprocessing_words
from ..data.settings import DataSettings
from ..families import FAMILIES, family_of
from ..models.modeling_timesformer import TimeSformerForVideoClassification
from ..training.families import CHANGEABLE, build_classifier, continue_classifier
from ..training.recipe import Recipe


def prepared_as(settings: DataSettings, loaded: Loaded, channels: int) -> DataSettings:
    """The source's own preprocessing, where the recipe does not say another."""
    if loaded.processor is None:
        return settings
    words = preprocessing_words(loaded.processor)
    for name in ("mean", "std"):
        words[name] = for_channels(words[name], channels)
    said = settings.model_fields_set
    return DataSettings(**{**{name: value for name, value in words.items() if name not in said}, **given_of(settings)})


def given_of(settings: DataSettings) -> dict[str, Any]:
    return settings.model_dump(include=set(settings.model_fields_set))


def starting_point(recipe: Recipe, label_names: list[str]) -> tuple[Any, Recipe, Loaded | None]:
    """-> the model before its first step, the recipe with what the source decides, and the source."""
    settings = recipe.model
    if settings.source is None:
        return build_classifier(settings.family, settings.fields(), label_names), recipe, None
    loaded = load_any(settings.source)
    loaded.theirs = None  # compared when it is converted, not here
    if FAMILIES[settings.family].takes_clips:
        loaded.model = of_clips(loaded.model, settings.fields())
    elif family_of(loaded.model.config).takes_clips:
        raise ValueError(f"{settings.source} takes videos, and not images; say --model.family timesformer.")
    model = continue_classifier(loaded.model, settings.fields(), label_names, settings.source)
    head = "" if has_head(loaded.model) else f" It has no head; one for {len(label_names)} labels starts untrained."
    print(f"From {settings.source} ({loaded.kind}).{head} {licence_sentence(loaded.licence)}")
    data = prepared_as(recipe.data, loaded, model.config.num_channels)
    return model, recipe.model_copy(update={"data": data}), loaded


def of_clips(model: Any, fields: dict[str, Any]) -> Any:
    """A model of clips as it is; one of images as the model of clips that begins with its weights."""
    if family_of(model.config).takes_clips:
        return model
    # What is changed of weights that are there, changes them afterwards.
    others = {name: value for name, value in fields.items() if name not in CHANGEABLE}
    return TimeSformerForVideoClassification.from_image_model(model, num_frames=fields.get("num_frames", 8), **others)


def has_head(model: Any) -> bool:
    return hasattr(model, "classifier") and model.config.num_labels > 0
