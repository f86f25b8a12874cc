"""From a recipe to a run: its data read, its model built or fetched, its batches made ready."""

from typing import Any

import transformers

from ..completion.loading import adapted
from ..conversion.core.preprocessing import words_for_channels
from ..conversion.pretrained import Loaded, license_sentence, load_any
from ..data.augment.plan import AugmentationPlan
from ..data.batches.load_batches import load_batches
from ..data.batches.streaming import StreamedBatches, StreamedImages
from ..data.settings import DataSettings
from ..data.sources.open_data import open_data
from ..data.sources.tables import StreamedTable, refuse_empty_classes
from ..errors import UserError
from ..families import FAMILIES, family_of
from ..modality import modality_of
from ..publishing.push_callback import HubPush
from ..settings import explain_wrong_fields
from ..training.recipe.arguments import TrainingArguments, plan_steps, training_arguments
from ..training.recipe.recipe import AUTO, ModelSettings, Recipe
from .prepared_run import PreparedRun
from .sizing import with_size

MASKED_IMAGE_MODEL = "AutoModelForMaskedImageModeling"


def build_classifier(family: str, settings: dict[str, Any], label_names: list[str]):
    """A new model with random weights, that knows its labels by name."""
    return FAMILIES[family].classifier(FAMILIES[family].config_class(**settings, **label_fields(label_names)))


def label_fields(names: list[str]) -> dict[str, Any]:
    """What a configuration says of labels."""
    return {"id2label": dict(enumerate(names)), "label2id": {name: number for number, name in enumerate(names)}}


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
    config = type(old).from_dict({**old.to_dict(), **settings, **label_fields(label_names)})
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


def prepared_as(settings: DataSettings, loaded: Loaded, channels: int) -> DataSettings:
    """The source's own preprocessing, where the recipe does not say another."""
    if loaded.processor is None:
        return settings
    words = words_for_channels(loaded.processor, channels)
    given = settings.model_dump(include=set(settings.model_fields_set))
    with explain_wrong_fields(f"The preprocessing of {loaded.source}"):
        return DataSettings(**{**words, **given})


def initial_model(recipe: Recipe, label_names: list[str]) -> tuple[Any, Recipe, Loaded | None]:
    """-> the model before its first step, the recipe with what the source decides, and the source."""
    settings = recipe.model
    if settings.source is None:
        return build_classifier(settings.family, settings.fields(), label_names), recipe, None
    loaded = load_any(settings.source)
    loaded.theirs = None  # compared when it is converted, not here
    loaded.model = of_modality(loaded.model, settings)
    model = continue_classifier(loaded.model, settings.fields(), label_names, settings.source)
    head = "" if has_head(loaded.model) else f" It has no head; one for {len(label_names)} labels starts untrained."
    print(f"From {settings.source} ({loaded.kind}).{head} {license_sentence(loaded.license)}")
    data = prepared_as(recipe.data, loaded, model.config.num_channels)
    return model, recipe.model_copy(update={"data": data}), loaded


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


def refuse_large_batches(arguments: TrainingArguments, images: int) -> None:
    """A batch that is larger than the data is a mistake: with drop_last no step would ever be taken."""
    if arguments.train_batch_size > images:
        raise UserError(
            f"per_device_train_batch_size={arguments.per_device_train_batch_size} is larger than the {images} training "
            f"images; set --training.per_device_train_batch_size {max(1, images // 8)}, or bring more images."
        )


def refuse_single_images(arguments: TrainingArguments, settings: DataSettings) -> None:
    """What is mixed is mixed with its neighbor in the batch."""
    if settings.mix is not None and arguments.per_device_train_batch_size == 1:
        raise UserError(
            "data.mix mixes neighbors of a batch, and a batch of one image has none; set "
            "--training.per_device_train_batch_size to 2 or more, or leave data.mix out."
        )


def streamed_batches(run: PreparedRun, table: StreamedTable) -> StreamedBatches:
    """What this process reads of the train split, and its workers."""
    settings, arguments = run.recipe.data, run.arguments
    images = StreamedImages(
        table,
        run.preparation,
        plan=AugmentationPlan.of(settings.train, settings.mix),
        classes=len(run.data.label_names),
        on_error=settings.on_error,
        seed=arguments.seed,
    )
    return StreamedBatches(
        table.shards,
        images,
        batch=arguments.train_batch_size,
        seed=arguments.seed if arguments.data_seed is None else arguments.data_seed,
        process=arguments.process_index,
        processes=arguments.world_size,
        workers=arguments.dataloader_num_workers,
    )


def prepare(recipe: Recipe) -> PreparedRun:
    """Read the data, build the model, and say what was found."""
    arguments = training_arguments(recipe.training)
    push = HubPush.asked_for(arguments)
    plan = plan_steps(arguments, recipe.optimization, recipe.training)
    data = open_data(recipe.data, modality=FAMILIES[recipe.model.family].modality)
    if data.stream is None:
        data.split("train")
    if recipe.model.size == AUTO:
        recipe, why = with_size(recipe, data, arguments.device.type)
        arguments = training_arguments(recipe.training)
        arguments.push_to_hub = False  # `push` is in its place
        plan = [*plan_steps(arguments, recipe.optimization, recipe.training), why]
    transformers.set_seed(arguments.seed)  # the first weights too are the seed's
    masked, loaded = recipe.model.task == "masked_image_modeling", None
    if masked:
        model = build_masked_image_model(recipe.model.family, recipe.model.fields())
    else:
        model, recipe, loaded = initial_model(recipe, data.label_names)
    modality = modality_of(model.config)
    processor = modality.processor_for(model.config, recipe.data)
    preparation = modality.preparation(processor, model.config.num_channels)
    run = PreparedRun(recipe, arguments, plan, data, model, processor, preparation, {}, loaded, push)
    print(run.describe(), flush=True)
    for split, images in data.splits.items():
        run.batches[split] = load_batches(
            images,
            preparation,
            recipe.data,
            split=split,
            plan=AugmentationPlan.of(recipe.data.train, recipe.data.mix) if split == "train" else None,
            classes=len(data.label_names),
            seed=arguments.seed,
        )
    refuse_single_images(arguments, recipe.data)
    if data.stream is not None:
        run.stream = streamed_batches(run, data.stream)
        return run
    refuse_empty_classes(run.batches["train"].table, data.label_names)
    refuse_large_batches(arguments, len(run.batches["train"]))
    return run
