"""The model before its first step: new, or begun from pretrained weights and adapted to the data."""

from typing import Any

from ..completion.headers import refuse_vast_model
from ..completion.loading import adapted
from ..conversion.core.preprocessing import words_for_channels
from ..conversion.pretrained import Loaded, license_sentence, load_any
from ..data.settings import DataSettings
from ..errors import UserError
from ..families import FAMILIES, family_of
from ..modality import modality_of
from ..settings import explain_wrong_fields
from ..training.recipe.recipe import ModelSettings, Recipe

MASKED_IMAGE_MODEL = "AutoModelForMaskedImageModeling"


def build_classifier(family: str, settings: dict[str, Any], label_names: list[str]):
    """A new model with random weights, that knows its labels by name."""
    return built(FAMILIES[family].classifier, FAMILIES[family].config_class(**settings, **label_fields(label_names)))


def built(model_class: Any, config: Any) -> Any:
    """Raises: UserError for what is larger than the memory that there is, before it is made."""
    refuse_vast_model(model_class, config)
    return model_class(config)


def label_fields(names: list[str]) -> dict[str, Any]:
    """What a configuration says of labels."""
    return {"id2label": dict(enumerate(names)), "label2id": {name: number for number, name in enumerate(names)}}


def build_masked_image_model(family: str, settings: dict[str, Any]):
    """A new model that paints what is masked of its images; a classifier is made of it with `from_pretrained`."""
    if MASKED_IMAGE_MODEL not in FAMILIES[family].classes:
        able = [word for word, other in FAMILIES.items() if MASKED_IMAGE_MODEL in other.classes]
        raise UserError(f"The family {family} has no model for masked images; {', '.join(able)} has.")
    return built(FAMILIES[family].classes[MASKED_IMAGE_MODEL], FAMILIES[family].config_class(**settings))


def continue_classifier(pretrained: Any, settings: dict[str, Any], label_names: list[str], source: str):
    """A model with pretrained weights, adapted to other sizes, channels and labels, in single precision.

    pretrained: a classifier, or a model without a head, which is given a new one.

    Raises: UserError for settings that would leave the weights without a place.
    """
    old, family = pretrained.config, family_of(pretrained.config)
    changeable = family.changeable_fields()
    for name, value in settings.items():
        if name not in changeable and value != getattr(old, name):
            raise UserError(
                f"{name}={value!r}: the weights of {source} are of a model with {name}={getattr(old, name)!r}, which "
                f"cannot be changed; leave it out. What can be changed are {', '.join(changeable)}."
            )
    uncalibrated = {"temperature": 1.0} if hasattr(old, "temperature") else {}  # what is trained is measured anew
    known = {**old.to_dict(), **uncalibrated, **target_units_of(pretrained, len(label_names))}
    config = type(old).from_dict({**known, **settings, **label_fields(label_names)})
    model_class = family.classifier
    classifier = pretrained if isinstance(pretrained, model_class) else with_head(pretrained, config)
    return adapted(classifier.float(), config, source)


def target_units_of(pretrained: Any, labels: int) -> dict[str, Any]:
    """In which its head, where it has one for as many labels, says numbers: one that learned them as they are, in ones
    from zero."""
    config = pretrained.config
    if not hasattr(config, "target_std"):
        return {}
    if not has_head(pretrained) or config.num_labels != labels:
        return {"target_mean": None, "target_std": None}
    if config.problem_type == "regression" and config.target_std is None:
        return {"target_mean": [0.0] * labels, "target_std": [1.0] * labels}
    return {}


def with_head(pretrained: Any, config: Any):
    """A classifier around the encoder of a model without one; pooling and head, those of `config`, start anew."""
    old = pretrained.config
    names = ("id2label", "label2id", "pooling", "target_mean", "target_std")
    head = {name: getattr(config, name) for name in names if hasattr(config, name)}
    classifier = family_of(old).classifier(type(old).from_dict({**old.to_dict(), **head}))
    prefix = classifier.base_model_prefix
    # Of an encoder that was trained on hidden patches the mask token is left over.
    getattr(classifier, prefix).load_state_dict(getattr(pretrained, prefix, pretrained).state_dict(), strict=False)
    return classifier


WAYS_TO_FIT = ("fit", "crop_pct", "pad_color")  # of which one that is given rules out what a source says of the others


def prepared_as(settings: DataSettings, loaded: Loaded, channels: int) -> DataSettings:
    """The source's own preprocessing, where the recipe does not say another."""
    if loaded.processor is None:
        return settings
    words = words_for_channels(loaded.processor, channels)
    words = {"frame_sampling" if name == "sampling" else name: value for name, value in words.items()}
    given = settings.model_dump(include=set(settings.model_fields_set))
    if given.keys() & set(WAYS_TO_FIT):
        words = {name: value for name, value in words.items() if name not in WAYS_TO_FIT}
    with explain_wrong_fields(f"The preprocessing of {loaded.source}"):
        return DataSettings(**{**words, **given})


def initial_model(
    recipe: Recipe, label_names: list[str], device_type: str = "cpu"
) -> tuple[Any, Recipe, Loaded | None]:
    """-> the model before its first step, the recipe with what the source decides, and the source."""
    settings = recipe.model
    if settings.source is None:
        return build_classifier(settings.family, settings.fields(), label_names), recipe, None
    loaded = load_any(settings.source)
    loaded.theirs = None  # compared when it is converted, not here
    loaded.model = of_modality(loaded.model, settings)
    fields = settings.fields()
    if recipe.optimization.probe:
        fields |= all_that_was_learned(loaded.model.config, settings)
        fields |= affordable_size(loaded, fields, device_type)
    model = continue_classifier(loaded.model, fields, label_names, settings.source)
    head = "" if has_head(loaded.model) else f" It has no head; one for {len(label_names)} labels starts untrained."
    print(f"From {settings.source} ({loaded.kind}).{head} {license_sentence(loaded.license)}")
    data = prepared_as(recipe.data, loaded, model.config.num_channels)
    return model, recipe.model_copy(update={"data": data}), loaded


PATCHES_ON_A_CPU = 8  # along a side; more would take hours there


def affordable_size(loaded: Loaded, fields: dict[str, Any], device_type: str) -> dict[str, Any]:
    """The size of images that the source is used with, where the recipe says none: that of its processor, which may be
    smaller than what its positions were learned for; on a CPU no more than 8 x 8 patches."""
    config, processor = loaded.model.config, loaded.processor
    patch = getattr(config, "patch_size", None)
    if "image_size" in fields or processor is None or not isinstance(patch, int) or config.model_type != "vit_hf":
        return {}
    size = processor.crop_size if processor.do_center_crop else processor.size
    shortest = min(side for side in (size.height, size.width, size.shortest_edge) if side)
    patches = min(shortest // patch, PATCHES_ON_A_CPU) if device_type == "cpu" else shortest // patch
    return {"image_size": patches * patch}


def all_that_was_learned(config: Any, settings: ModelSettings) -> dict[str, Any]:
    """What lets the classifier read the mean of the patches beside the class token, as a probe of features does."""
    plain = getattr(config, "pooling", None) == "cls" and config.final_norm == "tokens" and not config.add_pooling_layer
    return {"pooling": "cls_mean"} if plain and "pooling" not in settings.fields() else {}


def of_modality(model: Any, settings: ModelSettings) -> Any:
    """A model of the recipe's modality as it is; one of images as the model of videos that begins with its weights.

    Raises: UserError for a model of another modality that none of the recipe's family begins with.
    """
    family, found = FAMILIES[settings.family], modality_of(model.config)
    if found is family.modality:
        return model
    begin = getattr(family.classifier, "from_image_model", None)
    if begin is None:
        raise UserError(
            f"{settings.source} takes {found.plural}, and not {family.modality.plural}; say --model.family "
            f"{family_of(model.config).name}."
        )
    # What is changed of weights that are there, changes them afterwards.
    later = {*family.changeable_fields()} - {"num_frames"}
    return begin(model, **{name: value for name, value in settings.fields().items() if name not in later})


def has_head(model: Any) -> bool:
    return hasattr(model, "classifier") and model.config.num_labels > 0
