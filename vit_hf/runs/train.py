"""Training a prepared run, and what is done with it once it has ended."""

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import TrainerCallback

from ..data.sources.split_record import SPLIT_FILE, SplitRecord
from ..errors import UserError
from ..finished_folder import aside_of_run, begin_aside, is_finished, recover, refuse_finished, weights_kept
from ..hub.push import Pushed
from ..one_writer import one_writer
from ..publishing.publish import collect
from ..publishing.push_callback import HubPush
from ..publishing.verify import reload_without_package
from ..training.calibration import Calibration, fit_temperature
from ..training.metrics.multi_label import choose_thresholds
from ..training.trainer.checkpoints import checkpoints_in, newest_complete, remove_checkpoints
from ..training.trainer.decoding_check import DecodingCheck
from ..training.trainer.trainer import Trainer
from .prepared_run import PreparedRun
from .probing import begin_from_probe
from .results import FinishedRun


def train_prepared(
    prepared: PreparedRun, resume: str | bool | None = None, *, anyway: bool = False, overwrite: bool = False
) -> FinishedRun:
    """Train a classifier, and measure it on the held-out split. What it leaves lies aside until the run is saved, or
    put in place without its report.

    resume: a checkpoint, or True for the newest complete one. anyway: also where the recipe has changed since.
    overwrite: whether a finished model in the output folder, and checkpoints of it, give way.

    Raises: Interrupted where the process is told to stop, once a checkpoint is written. UserError for a folder with a
    finished model in it.
    """
    with writing(prepared):
        return train_alone(prepared, resume, anyway=anyway, overwrite=overwrite)


def writing(prepared: PreparedRun) -> AbstractContextManager[None]:
    """As `one_writer`: the first process of a distributed run for all of them."""
    first = prepared.arguments.process_index == 0
    return one_writer(Path(str(prepared.arguments.output_dir))) if first else nullcontext()


def train_alone(prepared: PreparedRun, resume: str | bool | None, *, anyway: bool, overwrite: bool) -> FinishedRun:
    """As `train_prepared`, where nobody else writes."""
    data, batches = prepared.data, prepared.batches
    trainer = prepared.trainer(resume_anyway=anyway)
    make_room(trainer, resume, overwrite=overwrite)
    keep_split(prepared, trainer, resume, anyway=anyway)
    rung = begin_from_probe(prepared, trainer)
    seconds = run_trainer(trainer, resume)
    compared = None if rung is None else rung.keep_the_better(trainer, batches["validation"])
    if skipped := prepared.skipped:
        print(f"{skipped} images could not be read during training; the next ones that could took their places.")
    # Every process of a distributed run takes part in these three; the first alone does the rest.
    validation, calibration = calibrate(trainer, prepared)
    thresholds = note_thresholds(prepared, trainer, validation)
    trainer.save_model(str(aside_of_run(trainer.run_folder)))
    with weights_kept(trainer.run_folder, writes=trainer.is_world_process_zero()):
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
        compared,
        thresholds,
        calibration=calibration,
        validation_logits=validation,
    )


def make_room(trainer: Trainer, resume: str | bool | None, *, overwrite: bool) -> None:
    """Of what an earlier run left. A finished model goes only once this run has another to put in its place.

    Raises: UserError where the folder may not be written to.
    """
    if not trainer.is_world_process_zero():
        return
    folder = trainer.run_folder
    recover(folder)
    refuse_finished(folder, overwrite=overwrite, resume=resume)
    if overwrite and not resume:
        remove_checkpoints(folder)


class OnceItBegins(TrainerCallback):
    """What the first process does when training begins, and so not for a run that is refused before it."""

    def __init__(self, does: Callable[[], Any]):
        self.does = does

    def on_train_begin(self, args, state, control, **kwargs):
        if state.is_world_process_zero:
            self.does()


def keep_split(prepared: PreparedRun, trainer: Trainer, resume: str | bool | None, *, anyway: bool) -> None:
    """Write down which image is in which part, once training begins; where it goes on, see that all are where they
    were.

    Raises: UserError that names what changed, unless told to go on `anyway`.
    """
    trainer.add_callback(OnceItBegins(lambda: write_split(prepared, trainer.run_folder)))
    if not trainer.is_world_process_zero():
        return
    folder = Path(resume).parent if isinstance(resume, str) else trainer.run_folder
    # That of the run under way lies aside where a finished model, and its own split, are in the folder yet.
    kept = [place / SPLIT_FILE for place in (aside_of_run(folder), folder)]
    before = next((file for file in kept if file.is_file()), None)
    if resume and before and checkpoints_in(folder):
        record = SplitRecord.load(before)
        if record.digest != prepared.split_record.digest:
            changed = "\n  ".join(record.differences(prepared.split_record)) or "the order of the images"
            text = f"The data has changed since the checkpoints in {folder}:\n  {changed}\n"
            if not anyway:
                raise UserError(
                    f"{text}Undo the change, go on all the same with --resume-anyway, or begin a new run with these "
                    f"parts: --data.split {folder}."
                )
            print(f"{text}Going on all the same.")


def write_split(prepared: PreparedRun, folder: Path) -> None:
    """Aside; and beside the checkpoints, where no finished model has its own there yet."""
    begin_aside(folder)
    prepared.split_record.save(aside_of_run(folder) / SPLIT_FILE)
    if not is_finished(folder):
        prepared.split_record.save(folder / SPLIT_FILE)


def note_thresholds(prepared: PreparedRun, trainer: Trainer, validation: Tensor | None) -> list[float] | None:
    """b labels, of the validation split -> where an image may have several labels, the probability from which on it has
    each, which is noted in the model's configuration. Else None, and no note of an earlier training either.
    """
    config: Any = trainer.model.config  # pyright: ignore[reportOptionalMemberAccess]
    vars(config).pop("thresholds", None)
    if prepared.data.problem_type != "multi_label_classification" or validation is None:
        return None
    config.thresholds = choose_thresholds(validation, prepared.batches["validation"].labels)
    return config.thresholds


def calibrate(trainer: Trainer, prepared: PreparedRun) -> tuple[Tensor | None, Calibration | None]:
    """-> b labels, what the finished model says of the validation split, where there is one, and the temperature that
    this chose; the model has it from then on.
    """
    config = trainer.model.config
    if "validation" not in prepared.batches or config.problem_type == "regression":
        return None, None
    images = prepared.batches["validation"]
    said: Any = trainer.predict(images)  # pyright: ignore[reportArgumentType]
    logits = torch.as_tensor(said.predictions)
    if not prepared.recipe.optimization.temperature_scaling or not hasattr(config, "temperature"):
        return logits, None
    found = fit_temperature(logits, images.labels, config.problem_type)
    config.temperature = config.temperature * found.temperature
    return logits / found.temperature, found


def run_trainer(trainer: Trainer, resume: str | bool | None) -> float:
    """-> the seconds that it took. A KeyboardInterrupt carries a note that says how to resume, where that is possible.

    resume: a checkpoint, or True for the newest complete one.
    Raises: UserError where the memory does not suffice.
    """
    start = time.monotonic()
    try:
        trainer.train(resume_from_checkpoint=resume)
    except KeyboardInterrupt as interrupt:
        newest = newest_complete(trainer.run_folder)
        if newest and trainer.is_world_process_zero():
            interrupt.add_note(f"Stopped after step {trainer.state.global_step}. {how_to_resume(newest)}")
        raise
    except (torch.OutOfMemoryError, MemoryError) as error:
        batch = trainer.args.per_device_train_batch_size
        raise UserError(
            f"The memory does not suffice for batches of {batch} ({str(error).partition('.')[0] or 'out of memory'}); "
            f"set --training.per_device_train_batch_size {max(1, batch // 2)} (with optimization.batch_size in the "
            "recipe the steps stay as large), or --training.gradient_checkpointing true."
        ) from error
    finally:
        for callback in trainer.callback_handler.callbacks:
            if isinstance(callback, DecodingCheck):
                callback.stop.set()
    trainer.use_final_weights()
    return time.monotonic() - start


def how_to_resume(checkpoint: Path) -> str:
    return f"The same command with --resume goes on from {checkpoint}."


@dataclass(frozen=True)
class Example:
    """What a fresh process without vit_hf says of an image or video of the held-out split."""

    path: Path
    label: str
    predicted: str
    probability: float | None  # of a label

    @property
    def sureness(self) -> str:
        return "" if self.probability is None else f"{self.probability:.2%}"


def reload_as_stranger(folder: Path, examples: Mapping[str, Path]) -> list[Example]:
    """The model of a saved run, loaded without vit_hf, and asked for the labels of the examples that the run saved."""
    found = reload_without_package(folder, list(examples.values()))
    return [
        Example(path, label, prediction["label"], prediction["probability"])
        for (label, path), prediction in zip(examples.items(), found, strict=True)
    ]


def push_run(run: FinishedRun, to: HubPush) -> Pushed:
    """The saved folder, to where the recipe says. Raises: UserError; what was trained is safe by now."""
    return to.finish(collect(run.folder, to.repo_id, to.options["branch"] or "main"))
