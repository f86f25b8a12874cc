"""From a recipe to a folder that is a whole Hub repository."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from ..hub.verify import reload_without_package
from ..training.recipe import load_recipe
from ..training.sizes import configuration_folder
from .door import guarded, parser, program, words_of
from .dry_run import show_plan
from .finished_run import FinishedRun
from .prepared_run import PreparedRun, prepare
from .pretrain import pretrain
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


def train(prepared: PreparedRun) -> FinishedRun:
    """Train, and measure on the held-out split."""
    data, batches = prepared.data, prepared.batches
    trainer = prepared.trainer()
    start = time.monotonic()
    trainer.train(resume_from_checkpoint=prepared.arguments.resume_from_checkpoint)
    seconds = time.monotonic() - start
    trainer.use_final_weights()
    # Every process of a distributed run takes part in these two; the first alone does the rest.
    trainer.save_model()
    logits: Any = trainer.predict(batches[data.held_out]).predictions  # pyright: ignore[reportArgumentType]
    return FinishedRun(prepared.recipe, data, batches, trainer, torch.as_tensor(logits), prepared.watched, seconds)


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


def run(given: str, overrides: Sequence[str], dry: bool) -> int:
    prepared = prepare(load_recipe(find_recipe(given), overrides))
    if dry:
        return show_plan(prepared)
    if prepared.recipe.model.task == "masked_image_modeling":
        return pretrain(prepared)
    finished = train(prepared)
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
    parse = parser("train", "Train an image classifier from a recipe.", EXAMPLES)
    parse.add_argument("recipe", help="a YAML file, or the name of one that comes with the package, such as digits")
    parse.add_argument("--dry-run", action="store_true", help="print what would run, draw some images, and stop")
    parse.usage = f"{parse.prog} RECIPE [--dry-run] [--section.field value ...]"
    given, overrides = parse.parse_known_args(words_of(words))
    return guarded(run, given.recipe, overrides, given.dry_run)
