"""A training from its first step, or from a checkpoint, to a folder that is a whole Hub repository."""

import sys
import time
from pathlib import Path
from typing import Any

import torch

from ..publishing.publish import collect
from ..publishing.push_callback import HubPush
from ..publishing.verify import reload_without_package
from ..training.trainer.checkpoints import newest_complete
from ..training.trainer.trainer import Trainer
from .report import table
from .results import FinishedRun
from .setup import PreparedRun


def train_and_finalize(trainer: Trainer, resume: str | bool | None) -> None:
    """`resume` is a checkpoint, or True for the newest complete one."""
    try:
        trainer.train(resume_from_checkpoint=resume)
    except KeyboardInterrupt:
        newest = newest_complete(trainer.run_folder)
        if newest and trainer.is_world_process_zero():
            print(f"\nStopped after step {trainer.state.global_step}. {how_to_resume(newest)}", file=sys.stderr)
        raise
    trainer.use_final_weights()


def how_to_resume(checkpoint: Path) -> str:
    return f"The same command with --resume goes on from {checkpoint}."


def train(prepared: PreparedRun, resume: str | bool | None = None, *, anyway: bool = False) -> FinishedRun:
    """Train, and measure on the held-out split. `resume` is a checkpoint, or True for the newest complete one."""
    data, batches = prepared.data, prepared.batches
    trainer = prepared.trainer(resume_anyway=anyway)
    start = time.monotonic()
    train_and_finalize(trainer, resume)
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


def finish(run: FinishedRun, push: HubPush | None) -> None:
    """Write what belongs beside the model, load it again in a process without the package, and push it where asked."""
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
