"""The models of each family that a recipe can name."""

from typing import Any

from ..completion.loading import adapted
from ..errors import UserError
from ..families import FAMILIES, family_of

MASKED_IMAGE_MODEL = "AutoModelForMaskedImageModeling"


def build_classifier(family: str, settings: dict[str, Any], label_names: list[str]):
    """A new model with random weights, that knows its labels by name."""
    config = FAMILIES[family].config_class(
        **settings,
        id2label=dict(enumerate(label_names)),
        label2id={name: number for number, name in enumerate(label_names)},
    )
    return FAMILIES[family].classifier(config)


def build_masked_image_model(family: str, settings: dict[str, Any]):
    """A new model that paints what is masked of its images; a classifier is made of it with `from_pretrained`."""
    if MASKED_IMAGE_MODEL not in FAMILIES[family].classes:
        able = [word for word, other in FAMILIES.items() if MASKED_IMAGE_MODEL in other.classes]
        raise UserError(f"The family {family} has no model for masked images; {', '.join(able)} has.")
    return FAMILIES[family].classes[MASKED_IMAGE_MODEL](FAMILIES[family].config_class(**settings))


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
    config = type(old).from_dict(
        {
            **old.to_dict(),
            **settings,
            "id2label": dict(enumerate(label_names)),
            "label2id": {name: number for number, name in enumerate(label_names)},
        }
    )
    model_class = family.classifier
    classifier = pretrained if isinstance(pretrained, model_class) else with_head(pretrained, model_class)
    return adapted(classifier.float(), config, source)


def with_head(pretrained: Any, model_class: Any):
    """A classifier around the encoder of a model without one; pooling and head start anew."""
    classifier = model_class(pretrained.config)
    prefix = classifier.base_model_prefix
    # Of an encoder that was trained on hidden patches the mask token is left over.
    getattr(classifier, prefix).load_state_dict(getattr(pretrained, prefix, pretrained).state_dict(), strict=False)
    return classifier
