"""From a recipe to a folder that is a whole Hub repository."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import transformers

from ..data.dataset import Preparation, load_batches
from ..data.preprocessing import make_image_processor
from ..data.settings import DataSettings
from ..data.sources import open_data
from ..data.tables import ImageData
from ..hub.training_push import HubPush
from ..hub.verify import reload_without_package
from ..training.arguments import TrainingArguments
from ..training.recipe import Recipe, load_recipe
from ..training.sizes import configuration_folder
from ..training.trainer import Trainer
from .door import guarded, parser, program, words_of
from .finished_run import FinishedRun
from .publish import collect
from .starting_point import starting_point
from .tables import table

EXAMPLES = """\
  {program} configuration/recipes/digits.yaml
  {program} digits --data.name photos/ --model.image_size 32 --model.patch_size 4 \\
      --training.num_train_epochs 30 --training.output_dir outputs/photos

where photos/ holds one folder of images for each class. Every field of the recipe can be set like this, by its
path; data.name is also the id of a data set on the Hub, or parquet files.
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


def describe(data: ImageData, model, recipe: Recipe) -> str:
    counts = ", ".join(f"{len(split):,} to {name}" for name, split in data.splits.items())
    labels = ", ".join(data.label_names[:10]) + (", ..." if len(data.label_names) > 10 else "")
    return (
        f"Data: {recipe.data.name}; images: {counts}; {len(data.label_names)} classes: {labels}\n"
        f"Model: {type(model).__name__}, {model.num_parameters():,} parameters"
    )


def train(recipe: Recipe) -> FinishedRun:
    """Train, and measure on the held-out split."""
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
            augmentations=recipe.data.train if split == "train" else None,
            seed=arguments.seed,
        )
        for split, images in data.splits.items()
    }
    refuse_large_batches(arguments, len(batches["train"]))
    # A validation split, where there is one, is looked at during training, and the test split at the end only.
    watched = "validation" if "validation" in batches else "test"
    push = HubPush.asked_for(arguments)
    trainer = Trainer(
        model=model,
        args=arguments,
        train_dataset=batches["train"],
        eval_dataset=batches[watched],
        processing_class=processor,
        callbacks=[push] if push else None,
    )
    start = time.monotonic()
    trainer.train(resume_from_checkpoint=arguments.resume_from_checkpoint)
    seconds = time.monotonic() - start
    # Every process of a distributed run takes part in these two; the first alone does the rest.
    trainer.save_model()
    tested: Any = trainer.predict(batches[data.held_out])  # pyright: ignore[reportArgumentType]
    logits, rate = torch.as_tensor(tested.predictions), tested.metrics.get("test_samples_per_second")
    return FinishedRun(recipe, data, batches, trainer, logits, watched, seconds, loaded, rate, push)


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


def run(given: str, overrides: Sequence[str]) -> int:
    recipe = load_recipe(find_recipe(given), overrides)
    finished = train(recipe)
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
    if finished.push is not None:
        push = finished.push
        # What was trained is safe by now, whatever the Hub says.
        pushed = push.finish(collect(finished.folder, push.repo_id, push.options["branch"] or "main"))
        print(f"\nPublished: {pushed.commit_url}")
    print(next_commands(finished, given))
    return 0


def main(words: Sequence[str] | None = None) -> int:
    parse = parser("train", "Train an image classifier from a recipe.", EXAMPLES)
    parse.add_argument("recipe", help="a YAML file, or the name of one that comes with the package, such as digits")
    parse.usage = f"{parse.prog} RECIPE [--section.field value ...]"
    given, overrides = parse.parse_known_args(words_of(words))
    return guarded(run, given.recipe, overrides)
