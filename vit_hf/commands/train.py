"""From a recipe to a folder that is a whole Hub repository."""

import sys
import time
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from ..publishing.push_callback import HubPush
from ..publishing.verify import reload_without_package
from ..runs.dry_run import show_plan
from ..runs.pretrain import how_to_go_on, pretrain, train_to_the_end
from ..runs.report import table
from ..runs.results import FinishedRun
from ..runs.setup import PreparedRun, prepare
from ..training.recipe.recipe import load_recipe
from ..training.recipe.yaml_files import configuration_folder
from ..training.trainer.callbacks import EXIT_CODE, Interrupted
from .cli import guarded, parser, program, words_of
from .publish import collect

EXAMPLES = """\
  {program} configuration/recipes/digits.yaml
  {program} digits --data.name photos/ --model.image_size 32 --model.patch_size 4 \\
      --training.num_train_epochs 30 --training.output_dir outputs/photos

where photos/ holds one folder of images for each class (of videos, for moving_digits). Every field of the recipe can be
set like this, by its path; data.name is also the id of a data set on the Hub, or parquet files.

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


def train(prepared: PreparedRun, resume: str | bool | None = None, *, anyway: bool = False) -> FinishedRun:
    """Train, and measure on the held-out split. `resume` is a checkpoint, or True for the newest complete one."""
    data, batches = prepared.data, prepared.batches
    trainer = prepared.trainer(resume_anyway=anyway)
    start = time.monotonic()
    train_to_the_end(trainer, resume)
    seconds = time.monotonic() - start
    if skipped := prepared.skipped:
        print(f"{skipped} images could not be read during training; the next ones that could took their places.")
    # Every process of a distributed run takes part in these two; the first alone does the rest.
    trainer.save_model()
    tested: Any = trainer.predict(batches[data.held_out])  # pyright: ignore[reportArgumentType]
    return FinishedRun(
        prepared.recipe,
        data,
        batches,
        trainer,
        torch.as_tensor(tested.predictions),
        prepared.watched,
        seconds,
        prepared.counts,
        prepared.loaded,
        tested.metrics.get("test_samples_per_second"),
    )


def finish(run: FinishedRun, recipe: str, push: HubPush | None) -> None:
    """Write what belongs beside the model, and load it again as a stranger would."""
    examples = run.save()
    print(f"\n{run.seconds:.0f} s of training; {run.summary()}; written to {run.folder}\n")
    found = reload_without_package(run.folder, list(examples.values()))
    modality = run.tested.table.modality
    rows = [
        [path.name, name, prediction["label"], f"{prediction['probability']:.2%}"]
        for (path, name), prediction in zip([(path, label) for label, path in examples.items()], found, strict=True)
    ]
    print(f"Loaded again in a fresh process without vit_hf, it says of some {modality.plural} of the test split:")
    print(table([modality.noun, "is", "predicted", "probability"], rows))
    if push is not None:
        # What was trained is safe by now, whatever the Hub says.
        pushed = push.finish(collect(run.folder, push.repo_id, push.options["branch"] or "main"))
        print(f"\nPublished: {pushed.commit_url}")
    print(next_commands(run, recipe))


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


def run(given: Namespace, overrides: Sequence[str]) -> int:
    prepared = prepare(load_recipe(find_recipe(given.recipe), overrides))
    if given.dry_run:
        return show_plan(prepared)
    resume = given.resume or given.resume_anyway or prepared.arguments.resume_from_checkpoint
    try:
        if prepared.recipe.model.task == "masked_image_modeling":
            return pretrain(prepared, resume, anyway=given.resume_anyway, train_command=program("train"))
        finished = train(prepared, resume, anyway=given.resume_anyway)
    except Interrupted as interruption:
        print(f"{interruption}. {how_to_go_on(interruption.checkpoint)}", file=sys.stderr)
        return EXIT_CODE
    if finished.trainer.is_world_process_zero():
        finish(finished, given.recipe, prepared.push)
    return 0


def main(words: Sequence[str] | None = None) -> int:
    examples = EXAMPLES.replace("{interrupted}", str(EXIT_CODE))
    parse = parser("train", "Train a classifier of images or videos from a recipe.", examples)
    parse.add_argument("recipe", help="a YAML file, or the name of one that comes with the package, such as digits")
    parse.add_argument("--dry-run", action="store_true", help="print what would run, draw some images, and stop")
    parse.add_argument(
        "--resume",
        nargs="?",
        const=True,
        metavar="CHECKPOINT",
        help="go on from this checkpoint, or from the newest complete one in training.output_dir",
    )
    parse.add_argument("--resume-anyway", action="store_true", help="even if the recipe has changed since")
    parse.usage = f"{parse.prog} RECIPE [--dry-run] [--resume [CHECKPOINT]] [--section.field value ...]"
    given, overrides = parse.parse_known_args(words_of(words))
    return guarded(run, given, overrides)
