"""From a recipe to a run: its data read, its model built or fetched, its batches made ready."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import transformers
from transformers.trainer_utils import IntervalStrategy

from ..data.augment.plan import AugmentationPlan
from ..data.batches.load_batches import load_batches, reading_of
from ..data.batches.streaming import StreamedBatches, StreamedImages
from ..data.decode.files import Reading, UnreadableImage
from ..data.decode.ranges import LOOKED_AT, Extremes, extremes_of, range_over
from ..data.settings import DataSettings
from ..data.sources.open_data import open_data
from ..data.sources.tables import ImageData, ImageTable, StreamedTable, read_in_order, refuse_empty_classes
from ..errors import UserError
from ..families import FAMILIES
from ..fewer_tokens.put_on import refuse_whole_grids
from ..files import refuse_no_folder
from ..modality import modality_of
from ..publishing.push_callback import HubPush
from ..training.class_weights import refuse_other_problems
from ..training.losses import loss_of
from ..training.problem import figure_names
from ..training.recipe.arguments import TrainingArguments, plan_steps, training_arguments
from ..training.recipe.optimization import OptimizationSettings
from ..training.recipe.recipe import AUTO, Recipe
from ..training.recipe.selection import choose_metric, refuse_unknown_metric, with_what_choosing_needs
from ..training.targets import refuse_constant_targets
from .initial_model import build_masked_image_model, initial_model
from .prepared_run import PreparedRun
from .review import name_duplicates
from .sizing import with_size


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


def refuse_nothing_held_out(data: ImageData, settings: DataSettings) -> None:
    """Before a model is trained of which nobody could say how good it is."""
    if {"test", "validation"} & set(data.splits):
        return
    if settings.test_fraction or settings.validation_fraction:
        why = "no class has two that differ, or are of two groups, of which one could be set aside"
    else:
        why = "data.test_fraction and data.validation_fraction set none of it aside; set one of them above 0"
    raise UserError(
        f"Nothing would measure the model: the data has no split beside train, and {why}. Or bring a test split."
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
        refuse_constant_targets(problem)
        loss_of(recipe.optimization, problem)
    run.plan += choose_metric(run.arguments, recipe.training, recipe.optimization, problem)
    figures = ["loss"] if problem is None else figure_names(problem.problem_type, len(problem.names))
    refuse_unknown_metric(run.arguments, recipe.optimization, figures)


def refuse_fewer_tokens(model: Any, settings: OptimizationSettings) -> None:
    """Raises: UserError where a model needs the tokens that training would merge or leave out."""
    if settings.token_merging is not None:
        refuse_whole_grids(model, "optimization.token_merging")
        settings.token_merging.of_layers(model.config.num_hidden_layers)
    if settings.patch_dropout:
        refuse_whole_grids(model, "optimization.patch_dropout")


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
    refuse_no_folder(Path(str(arguments.output_dir)), "training.output_dir")
    push = HubPush.asked_for(arguments)
    if data is None:
        with arguments.main_process_first(desc="reading the data"):  # which remembers for the others
            data = open_data(recipe.data, modality=FAMILIES[recipe.model.family].modality)
        print(*data.understood, sep="\n", end="\n" * bool(data.understood), flush=True)
    if data.stream is None:
        data.split("train")
    refuse_nothing_held_out(data, recipe.data)
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
    refuse_fewer_tokens(model, recipe.optimization)
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
