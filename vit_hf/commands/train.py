"""From a recipe to a folder that is a whole Hub repository."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import transformers

from ..data.loading import load_batches
from ..data.plan import AugmentationPlan
from ..data.preparation import Preparation
from ..data.preprocessing import make_image_processor
from ..data.settings import DataSettings
from ..data.sources import open_data
from ..data.tables import ImageData, refuse_empty_classes
from ..hub.verify import reload_without_package
from ..training.arguments import TrainingArguments
from ..training.checkpoints import newest_complete
from ..training.interruption import EXIT_CODE, Interrupted
from ..training.recipe import Recipe, load_recipe
from ..training.sizes import configuration_folder
from ..training.trainer import Trainer
from .door import guarded, parser, program, words_of
from .finished_run import FinishedRun
from .starting_point import starting_point
from .tables import table

EXAMPLES = """\
  {program} configuration/recipes/digits.yaml
  {program} digits --data.name photos/ --model.image_size 32 --model.patch_size 4 \\
      --training.num_train_epochs 30 --training.output_dir outputs/photos

where photos/ holds one folder of images for each class. Every field of the recipe can be set like this, by its
path; data.name is also the id of a data set on the Hub, or parquet files.

With --training.save_strategy steps a run survives anything: the same command with --resume goes on from the newest
complete checkpoint (or begins, where there is none), and ends with the bits that an uninterrupted run ends with.
SIGTERM and SIGUSR1 save at the end of the step and exit with {interrupted}.
"""


def find_recipe(name: str) -> Path:
    """A file, or the name of a recipe that comes with the package."""
    path = Path(name)
    ours = configuration_folder() / "recipes" / f"{name}.yaml"
    if path.is_file() or not ours.is_file():
        return path
    return ours


def image_processor(config, settings: DataSettings):
    return make_image_processor(
        config,
        mean=settings.mean,
        std=settings.std,
        crop_pct=settings.crop_pct,
        interpolation=settings.interpolation,
    )


def refuse_large_batches(arguments: TrainingArguments, images: int) -> None:
    """A batch that is larger than the data is a mistake: with drop_last no step would ever be taken."""
    if arguments.train_batch_size > images:
        raise ValueError(
            f"per_device_train_batch_size={arguments.per_device_train_batch_size} is larger than the {images} training "
            f"images; set --training.per_device_train_batch_size {max(1, images // 8)}, or bring more images."
        )


def refuse_single_images(arguments: TrainingArguments, settings: DataSettings) -> None:
    """What is mixed is mixed with its neighbour in the batch."""
    if settings.mix is not None and arguments.per_device_train_batch_size == 1:
        raise ValueError(
            "data.mix mixes neighbours of a batch, and a batch of one image has none; set "
            "--training.per_device_train_batch_size to 2 or more, or leave data.mix out."
        )


def describe(data: ImageData, model, recipe: Recipe) -> str:
    counts = ", ".join(f"{len(split):,} to {name}" for name, split in data.splits.items())
    labels = ", ".join(data.label_names[:10]) + (", ..." if len(data.label_names) > 10 else "")
    return (
        f"Data: {recipe.data.name}; images: {counts}; {len(data.label_names)} classes: {labels}\n"
        f"Model: {type(model).__name__}, {model.num_parameters():,} parameters"
    )


def train(recipe: Recipe, *, resume: str | bool | None = None, anyway: bool = False) -> FinishedRun:
    """Train, and measure on the held-out split. `resume` is a checkpoint, or True for the newest complete one."""
    arguments = TrainingArguments(**recipe.training)
    data = open_data(recipe.data)
    data.split("train")
    transformers.set_seed(arguments.seed)  # the first weights too are the seed's
    model, recipe, loaded = starting_point(recipe, data.label_names)
    processor = image_processor(model.config, recipe.data)
    preparation = Preparation(processor, model.config.num_channels)
    print(describe(data, model, recipe), flush=True)

    batches = {
        split: load_batches(
            images,
            preparation,
            recipe.data,
            split=split,
            plan=AugmentationPlan.of(recipe.data.train, recipe.data.mix) if split == "train" else None,
            classes=len(data.label_names),
            seed=arguments.seed,
        )
        for split, images in data.splits.items()
    }
    refuse_empty_classes(batches["train"].table, data.label_names)
    refuse_large_batches(arguments, len(batches["train"]))
    refuse_single_images(arguments, recipe.data)
    # A validation split, where there is one, is looked at during training, and the test split at the end only.
    watched = "validation" if "validation" in batches else "test"
    trainer = Trainer(
        model=model,
        args=arguments,
        train_dataset=batches["train"],
        eval_dataset=batches[watched],
        processing_class=processor,
        recipe=recipe.model_dump(mode="json", exclude_none=True),
        resume_anyway=anyway,
    )
    start = time.monotonic()
    train_to_the_end(trainer, resume or arguments.resume_from_checkpoint)
    seconds = time.monotonic() - start
    if skipped := int(batches["train"].replaced.sum()):
        print(f"{skipped} images could not be read during training; the next ones that could took their places.")
    # Every process of a distributed run takes part in these two; the first alone does the rest.
    trainer.save_model()
    logits: Any = trainer.predict(batches[data.held_out]).predictions  # pyright: ignore[reportArgumentType]
    return FinishedRun(recipe, data, batches, trainer, torch.as_tensor(logits), watched, seconds, loaded)


def train_to_the_end(trainer: Trainer, resume: str | bool | None) -> None:
    try:
        trainer.train(resume_from_checkpoint=resume)
    except KeyboardInterrupt:
        newest = newest_complete(trainer.run_folder)
        if newest and trainer.is_world_process_zero():
            print(f"\nStopped after step {trainer.state.global_step}. {how_to_go_on(newest)}", file=sys.stderr)
        raise


def how_to_go_on(checkpoint: Path) -> str:
    return f"The same command with --resume goes on from {checkpoint}."


def next_commands(run: FinishedRun, recipe: str) -> str:
    folder = run.folder
    another = "--data.name FOLDER_OF_CLASS_FOLDERS --training.output_dir outputs/mine"
    return "\n".join(
        [
            "\nNext, you could",
            f"  {program('predict')} {folder} {folder / 'examples'}",
            f"  {program('evaluate')} {folder} --output {folder / 'evaluation'}",
            f"  {program('train')} {recipe} {another}",
        ]
    )


def run(given: str, overrides: Sequence[str], resume: str | bool | None = None, anyway: bool = False) -> int:
    recipe = load_recipe(find_recipe(given), overrides)
    try:
        finished = train(recipe, resume=resume, anyway=anyway)
    except Interrupted as interruption:
        print(f"{interruption}. {how_to_go_on(interruption.checkpoint)}", file=sys.stderr)
        return EXIT_CODE
    if not finished.trainer.is_world_process_zero():
        return 0
    examples = finished.save()
    print(f"\n{finished.seconds:.0f} s of training; {finished.summary()}; written to {finished.folder}\n")

    found = reload_without_package(finished.folder, list(examples.values()))
    rows = [
        [path.name, name, prediction["label"], f"{prediction['probability']:.2%}"]
        for (path, name), prediction in zip([(path, label) for label, path in examples.items()], found, strict=True)
    ]
    print("Loaded again in a fresh process without vit_hf, it says of some images of the test split:")
    print(table(["image", "is", "predicted", "probability"], rows))
    print(next_commands(finished, given))
    return 0


def main(words: Sequence[str] | None = None) -> int:
    examples = EXAMPLES.replace("{interrupted}", str(EXIT_CODE))
    parse = parser("train", "Train an image classifier from a recipe.", examples)
    parse.add_argument("recipe", help="a YAML file, or the name of one that comes with the package, such as digits")
    parse.add_argument(
        "--resume",
        nargs="?",
        const=True,
        metavar="CHECKPOINT",
        help="go on from this checkpoint, or from the newest complete one in training.output_dir",
    )
    parse.add_argument("--resume-anyway", action="store_true", help="even if the recipe has changed since")
    parse.usage = f"{parse.prog} RECIPE [--resume [CHECKPOINT]] [--section.field value ...]"
    given, overrides = parse.parse_known_args(words_of(words))
    return guarded(run, given.recipe, overrides, given.resume or given.resume_anyway or None, given.resume_anyway)
