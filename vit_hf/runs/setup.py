"""From a recipe to a run: its data read, its model built or fetched, its batches made ready."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import transformers
from transformers.trainer_utils import IntervalStrategy

from ..completion.loading import adapted
from ..conversion.core.preprocessing import words_for_channels
from ..conversion.pretrained import Loaded, license_sentence, load_any
from ..data.augment.plan import AugmentationPlan
from ..data.batches.load_batches import load_batches, reading_of
from ..data.batches.streaming import StreamedBatches, StreamedImages
from ..data.decode.files import Reading, UnreadableImage
from ..data.decode.ranges import LOOKED_AT, Extremes, extremes_of, range_over
from ..data.settings import DataSettings
from ..data.sources.open_data import open_data
from ..data.sources.tables import ImageData, ImageTable, StreamedTable, read_in_order, refuse_empty_classes
from ..errors import UserError
from ..families import FAMILIES, family_of
from ..modality import modality_of
from ..publishing.push_callback import HubPush
from ..settings import explain_wrong_fields
from ..training.class_weights import refuse_other_problems
from ..training.losses import loss_of
from ..training.problem import figure_names
from ..training.recipe.arguments import TrainingArguments, plan_steps, training_arguments
from ..training.recipe.optimization import OptimizationSettings
from ..training.recipe.recipe import AUTO, ModelSettings, Recipe
from ..training.recipe.selection import choose_metric, refuse_unknown_metric, with_what_choosing_needs
from .prepared_run import PreparedRun
from .review import name_duplicates
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
    uncalibrated = {"temperature": 1.0} if hasattr(old, "temperature") else {}  # what is trained is measured anew
    config = type(old).from_dict({**old.to_dict(), **uncalibrated, **settings, **label_fields(label_names)})
    model_class = family.classifier
    classifier = pretrained if isinstance(pretrained, model_class) else with_head(pretrained, config)
    return adapted(classifier.float(), config, source)


def with_head(pretrained: Any, config: Any):
    """A classifier around the encoder of a model without one; pooling and head, those of `config`, start anew."""
    old = pretrained.config
    head = {name: getattr(config, name) for name in ("id2label", "label2id", "pooling") if hasattr(config, name)}
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


def extremes_at(table: ImageTable, index: int, reading: Reading) -> Extremes | None:
    try:
        source, _ = table.source_of(index)
    except UnreadableImage:  # which the check of all images tells
        return None
    return extremes_of(source, reading)


def with_pixel_range(settings: DataSettings, data: ImageData) -> DataSettings:
    """The range of images of more than eight bits, found on some of those to train on where the recipe says none."""
    if settings.pixel_range is not None:
        return settings
    table = next(iter(data.splits.values())) if data.stream is not None else data.split("train")
    reading = Reading(max_pixels=settings.max_pixels)
    chosen = np.unique(np.linspace(0, len(table) - 1, LOOKED_AT, dtype=int))
    look = list(read_in_order(lambda place: extremes_at(table, int(chosen[place]), reading), len(chosen)))
    found = range_over(look)
    if found is None:
        return settings
    deep = sum(extremes is not None for extremes in look)
    print(
        f"Pixels: {table.modality.counted(deep)} of {len(chosen)} looked at hold more than 8 bits; {found[0]:g} is "
        f"black and {found[1]:g} white (data.pixel_range: [{found[0]:g}, {found[1]:g}]).",
        flush=True,
    )
    return settings.model_copy(update={"pixel_range": found})


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


def evaluate_on_validation_alone(
    arguments: TrainingArguments, data: ImageData, settings: OptimizationSettings
) -> list[str]:
    """Without a validation split nothing is evaluated while training goes on. -> a line that says so, if it is news

    Raises: UserError where something was to be chosen by it.
    """
    if "validation" in data.splits or arguments.eval_strategy == IntervalStrategy.NO:
        return []
    way_out = "Give data.validation_fraction a share of the train split, or the data a validation split"
    choosing = {
        "training.load_best_model_at_end": arguments.load_best_model_at_end,
        "optimization.early_stopping": settings.early_stopping is not None,
    }
    for field, asked in choosing.items():
        if asked:
            raise UserError(f"{field} chooses by a validation split, and there is none. {way_out}.")
    arguments.eval_strategy, arguments.eval_on_start = IntervalStrategy.NO, False
    return [f"Validation: none, and so nothing is evaluated before the end. {way_out}, to see how training goes"]


def streamed_batches(run: PreparedRun, table: StreamedTable) -> StreamedBatches:
    """What this process reads of the train split, and its workers."""
    settings, arguments = run.recipe.data, run.arguments
    images = StreamedImages(
        replace(table, reading=reading_of(settings, run.preparation)),
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


def settle_problem(run: PreparedRun) -> None:
    """The loss, and by which figure the best weights are chosen.

    Raises: UserError for what makes no sense of the labels that there are, before any image is read.
    """
    problem, recipe = run.problem, run.recipe
    if problem is not None:
        said = recipe.model.fields().get("problem_type")
        if said not in (None, problem.problem_type):
            raise UserError(
                f"model.problem_type: {said}, but by its labels the data is for {problem.problem_type}; leave the "
                "field out, and where the labels are read wrongly, say so of the data."
            )
        if problem.problem_type == "regression" and recipe.data.sampling == "balanced":
            raise UserError("data.sampling: balanced draws classes as often, and the data has numbers; leave it out.")
        refuse_other_problems(recipe.optimization, problem)
        loss_of(recipe.optimization, problem)
    run.plan += choose_metric(run.arguments, recipe.training, recipe.optimization, problem)
    figures = ["loss"] if problem is None else figure_names(problem.problem_type, len(problem.names))
    refuse_unknown_metric(run.arguments, recipe.optimization, figures)


def arguments_of(recipe: Recipe) -> tuple[TrainingArguments, list[str]]:
    """-> and a line for what was added, for the best weights to be chosen"""
    streaming = recipe.data.streaming
    training, added = with_what_choosing_needs(recipe.training, recipe.optimization, streaming=streaming)
    return training_arguments(training), added


def prepare(
    recipe: Recipe, transform: Callable[[Any], Any] | None = None, data: ImageData | None = None
) -> PreparedRun:
    """Read the data, build the model, and say what was found.

    transform: of the user's own, as `vit_hf.train` takes it. data: what is read already, such as a fold.
    """
    arguments, added = arguments_of(recipe)
    push = HubPush.asked_for(arguments)
    if data is None:
        with arguments.main_process_first(desc="reading the data"):  # which remembers for the others
            data = open_data(recipe.data, modality=FAMILIES[recipe.model.family].modality)
        print(*data.understood, sep="\n", end="\n" * bool(data.understood), flush=True)
    if data.stream is None:
        data.split("train")
    if recipe.model.size == AUTO:
        recipe, why = with_size(recipe, data, arguments.device.type)
        arguments, added = arguments_of(recipe)
        arguments.push_to_hub = False  # `push` is in its place
        added = [*added, why]
    plan = [*plan_steps(arguments, recipe.optimization, recipe.training), *added]
    plan += evaluate_on_validation_alone(arguments, data, recipe.optimization)
    transformers.set_seed(arguments.seed)  # the first weights too are the seed's
    masked, loaded = recipe.model.task == "masked_image_modeling", None
    if masked:
        model = build_masked_image_model(recipe.model.family, recipe.model.fields())
    else:
        model, recipe, loaded = initial_model(recipe, data.label_names, arguments.device.type)
    recipe = recipe.model_copy(update={"data": with_pixel_range(recipe.data, data)})
    modality = modality_of(model.config)
    processor = modality.processor_for(model.config, recipe.data)
    preparation = modality.preparation(processor, model.config.num_channels)
    run = PreparedRun(recipe, arguments, plan, data, model, processor, preparation, {}, loaded, push)
    settle_problem(run)
    print(run.describe(), flush=True)
    with arguments.main_process_first(desc="checking the images"):  # which remembers for the others, again
        for split, images in data.splits.items():
            run.batches[split] = load_batches(
                images,
                preparation,
                recipe.data,
                split=split,
                plan=AugmentationPlan.of(recipe.data.train, recipe.data.mix) if split == "train" else None,
                classes=len(data.label_names),
                seed=arguments.seed,
                transform=transform if split == "train" else None,
            )
    refuse_single_images(arguments, recipe.data)
    if data.stream is not None:
        run.stream = streamed_batches(run, data.stream)
        return run
    if data.problem_type != "regression":
        refuse_empty_classes(run.batches["train"].table, data.label_names)
    refuse_large_batches(arguments, len(run.batches["train"]))
    name_duplicates(run)
    return run
