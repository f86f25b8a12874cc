"""A loss that is no number any more: found without making the device wait, and traced to its step and its images."""

from typing import Any

import torch
from transformers import TrainerCallback

from .checkpoints import newest_complete

NEVER = torch.iinfo(torch.int64).max


class LossIsBroken(ValueError):
    """The loss is NaN or infinite. No checkpoint was written since."""


class BrokenLoss(TrainerCallback):
    """Remembers on the device at which step the loss broke, and looks there when it is cheap.

    On the CPU, in one process, that is every step; elsewhere wherever the run reports, evaluates or saves, which
    makes the device wait anyway. Needs `logging_nan_inf_filter=False`, our default: the filter hides what broke.
    """

    def __init__(self, trainer: Any):
        self.trainer = trainer
        self.broke_at = torch.tensor(NEVER)

    def on_train_begin(self, args, state, control, **kwargs):
        self.broke_at = torch.full((), NEVER, device=args.device)
        self.looks_always = args.device.type == "cpu" and args.world_size == 1

    def on_step_end(self, args, state, control, **kwargs):
        broken = ~self.trainer._tr_loss.isfinite() & (self.broke_at == NEVER)
        self.broke_at = torch.where(broken, state.global_step, self.broke_at)
        if self.looks_always or control.should_log or control.should_evaluate or control.should_save:
            self.look()

    def on_epoch_end(self, args, state, control, **kwargs):
        self.look()

    def look(self) -> None:
        """Raises: LossIsBroken, in every process, where it broke in any."""
        step = int(self.trainer.accelerator.gather(self.broke_at.reshape(1)).min())
        if step != NEVER:
            raise LossIsBroken(self.explain(step))

    def explain(self, step: int) -> str:
        trainer = self.trainer
        order = trainer.order
        images = f", for the images {order.images_of_step(step).tolist()} of the train split" if order else ""
        checkpoint = newest_complete(trainer.run_folder)
        back = f"The last good checkpoint is {checkpoint}" if checkpoint else "There is no checkpoint to go back to"
        return (
            f"The loss became NaN or infinite at step {step}{images}. {back}. Look at those images "
            "(--data.check_finite true), or train with a lower learning_rate, a longer warmup or max_grad_norm."
        )
