"""A training that may be interrupted, and what to do then."""

import sys
from pathlib import Path

from ..training.checkpoints import newest_complete
from ..training.trainer import Trainer


def train_to_the_end(trainer: Trainer, resume: str | bool | None) -> None:
    """`resume` is a checkpoint, or True for the newest complete one."""
    try:
        trainer.train(resume_from_checkpoint=resume)
    except KeyboardInterrupt:
        newest = newest_complete(trainer.run_folder)
        if newest and trainer.is_world_process_zero():
            print(f"\nStopped after step {trainer.state.global_step}. {how_to_go_on(newest)}", file=sys.stderr)
        raise
    trainer.use_final_weights()


def how_to_go_on(checkpoint: Path) -> str:
    return f"The same command with --resume goes on from {checkpoint}."
