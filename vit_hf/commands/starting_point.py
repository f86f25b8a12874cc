"""What a training begins from: random weights, or those of a pretrained model of any library."""

from typing import Any

from ..conversion.licences import licence_sentence
from ..conversion.loading import Loaded, load_any
from ..conversion.preprocessing import for_channels, preprocessing_words
from ..data.settings import DataSettings
from ..training.families import build_classifier, continue_classifier
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
    model = continue_classifier(loaded.model, settings.fields(), label_names, settings.source)
    head = "" if has_head(loaded.model) else f" It has no head; one for {len(label_names)} labels starts untrained."
    print(f"From {settings.source} ({loaded.kind}).{head} {licence_sentence(loaded.licence)}")
    data = prepared_as(recipe.data, loaded, model.config.num_channels)
    return model, recipe.model_copy(update={"data": data}), loaded


def has_head(model: Any) -> bool:
    return hasattr(model, "classifier") and model.config.num_labels > 0
