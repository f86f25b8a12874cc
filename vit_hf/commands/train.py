"""From a recipe to a folder that is a whole Hub repository."""

import shlex
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .cli import RESUMABLE, given_arguments, guarded, parser, program

if TYPE_CHECKING:
    from ..publishing.push_callback import HubPush
    from ..runs.prepared_run import PreparedRun
    from ..runs.pretrain import PretrainedRun
    from ..runs.results import FinishedRun

EXAMPLES = """\
  {program} photos/
  {program} labels.csv --from google/vit-base-patch16-224 --training.num_train_epochs 5
  {program} digits

where photos/ holds one folder of images for each class. Data of one's own are trained on by the recipe `photos`, or by
`photos_finetune` where --from names a model, and their model is left in outputs/photos. Every field of a recipe can be
set by its path; `vit-hf recipes` lists the recipes and named sizes, and `vit-hf fields` every field with its meaning.

With --training.save_strategy steps a run survives anything: the same command with --resume goes on from the newest
complete checkpoint (or begins, where there is none), and ends with the bits that an uninterrupted run ends with.
SIGTERM and SIGUSR1 save at the end of the step and exit with {resumable}.

A folder with a finished model in it is refused. With --overwrite its checkpoints are removed, and the model with its
card and figures gives way as a whole, once there is another.
"""


def run(given: Namespace, overrides: Sequence[str]) -> int:
    from ..runs.begin import begin, refuse_taken
    from ..runs.dry_run import show_plan
    from ..runs.setup import prepare
    from ..runs.train import writing
    from ..training.recipe.yaml_files import parse_overrides

    recipe = begin(given.recipe, given.source, parse_overrides(overrides))
    if not given.dry_run:
        refuse_taken(recipe, overwrite=given.overwrite, resume=given.resume or given.resume_anyway)
    prepared = prepare(recipe)
    if given.dry_run:
        return show_plan(prepared)
    with writing(prepared):
        return train_and_finish(prepared, given)


def train_and_finish(prepared: "PreparedRun", given: Namespace) -> int:
    """The training of what is prepared, and all that comes after it."""
    from ..runs.cross_validation import train_and_cross_validate
    from ..runs.pretrain import pretrain
    from ..runs.train import how_to_resume
    from ..training.trainer.callbacks import Interrupted

    resume = given.resume or given.resume_anyway or prepared.arguments.resume_from_checkpoint
    try:
        if prepared.recipe.model.task == "masked_image_modeling":
            pretrained = pretrain(prepared, resume, anyway=given.resume_anyway, overwrite=given.overwrite)
            if pretrained.trainer.is_world_process_zero():
                finish_pretraining(pretrained)
            return 0
        finished = train_and_cross_validate(
            prepared, resume=resume, anyway=given.resume_anyway, overwrite=given.overwrite
        )
    except Interrupted as interruption:
        print(f"{interruption}. {how_to_resume(interruption.checkpoint)}", file=sys.stderr)
        return RESUMABLE
    if finished.trainer.is_world_process_zero():
        finish(finished, prepared.push)
    return 0


def finish(run: "FinishedRun", to: "HubPush | None") -> None:
    """Save the run, load it again as a stranger would, publish it where it is asked for, and say all that."""
    from ..runs.report import table
    from ..runs.train import push_run, reload_as_stranger

    examples = run.save()
    print(f"\n{run.seconds:.0f} s of training; {run.summary()}; written to {run.folder}\n")
    if run.notes:
        print("\n".join(run.notes), end="\n\n")
    modality = run.tested.table.modality
    rows = [
        [
            example.path.name,
            example.label,
            example.predicted,
            example.sureness,
        ]
        for example in reload_as_stranger(run.folder, examples)
    ]
    print(f"Loaded again in a fresh process without vit_hf, it says of some {modality.plural} of the test split:")
    print(table([modality.noun, "is", "predicted", "probability"], rows))
    if to is not None:
        print(f"\nPublished: {push_run(run, to).commit_url}")
    print(next_commands(run.folder))


def finish_pretraining(run: "PretrainedRun") -> None:
    run.save()
    print(
        f"\n{run.seconds:.0f} s of training; mean absolute error of the hidden pixels of the {run.split} split, in "
        f"standard deviations: {run.loss:.4f}; written to {run.folder}\n\n"
        f"Next, you could make a classifier of it, with the labels of your data:\n"
        f"  {program('train')} FOLDER_OR_TABLE --from {shlex.quote(str(run.folder))}"
    )


def next_commands(folder: Path) -> str:
    model, examples, evaluation = (
        shlex.quote(str(path)) for path in (folder, folder / "examples", folder / "evaluation")
    )
    return "\n".join(
        [
            "\nNext, you could",
            f"  {program('predict')} {model} {examples}",
            f"  {program('evaluate')} {model} --output {evaluation}",
            f"  {program('train')} FOLDER_OR_TABLE",
            f"  {program('train')} FOLDER_OR_TABLE --from {model}",
        ]
    )


def main(words: Sequence[str] | None = None) -> int:
    examples = EXAMPLES.replace("{resumable}", str(RESUMABLE))
    parse = parser("train", "Train a classifier of images or videos from a recipe.", examples)
    parse.add_argument(
        "recipe", metavar="DATA_OR_RECIPE", help="a folder, table or archive; or a recipe, by name or file"
    )
    parse.add_argument(
        "--from", dest="source", metavar="MODEL", help="pretrained weights to begin with, of any library"
    )
    parse.add_argument("--dry-run", action="store_true", help="print what would run, draw some images, and stop")
    parse.add_argument(
        "--resume",
        nargs="?",
        const=True,
        metavar="CHECKPOINT",
        help="go on from this checkpoint, or from the newest complete one in training.output_dir",
    )
    parse.add_argument("--resume-anyway", action="store_true", help="even if the recipe has changed since")
    parse.add_argument(
        "--overwrite", action="store_true", help="train anew where a finished model lies, which gives way at the end"
    )
    parse.usage = (
        f"{parse.prog} DATA_OR_RECIPE [--from MODEL] [--dry-run] [--resume [CHECKPOINT]] [--overwrite] "
        "[--section.field value ...]"
    )
    given, overrides = parse.parse_known_args(given_arguments(words))
    return guarded(run, given, overrides)
