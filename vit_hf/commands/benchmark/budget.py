"""A training that ends when its processor time is used up, and its schedule with it."""

import time
from collections.abc import Callable
from typing import Any

from torch.optim.lr_scheduler import LambdaLR
from transformers import TrainerCallback, TrainingArguments

from ...errors import UserError

STEPS = 1_000_000  # that a schedule is divided into; no training takes as many
LOOKS = 20  # times that a budgeted training is evaluated

Factor = Callable[[int], float]


def budgeted(arguments: TrainingArguments) -> None:
    """Leave it to a `ProcessorBudget` when to stop, to evaluate and to save; in place.

    Raises: UserError for steps that are counted, of which nobody knows the share.
    """
    if arguments.warmup_steps and arguments.warmup_steps >= 1:
        raise UserError(
            f"training.warmup_steps={arguments.warmup_steps} of a training that ends by the clock; say a share of it, "
            "as in --training.warmup_steps 0.1."
        )
    arguments.max_steps = STEPS
    arguments.logging_strategy = arguments.eval_strategy = arguments.save_strategy = "steps"  # pyright: ignore[reportAttributeAccessIssue]
    arguments.logging_steps = arguments.eval_steps = arguments.save_steps = STEPS


class ProcessorBudget(TrainerCallback):
    """Ends a training once the process has computed for so many seconds, on all threads, what is evaluated included.

    The schedule is followed by the share of that time that is used. looks: how often it is evaluated, the last time at
    the end. clock: it runs from when this is made, so that reading the data counts.
    """

    def __init__(self, seconds: float, *, looks: int = LOOKS, clock: Callable[[], float] = time.process_time):
        self.seconds = seconds
        self.looks = looks
        self.clock = clock
        self.start = clock()
        self.looked = 0

    @property
    def share(self) -> float:
        """Of the budget, from 0 to 1."""
        return min(1.0, (self.clock() - self.start) / self.seconds)

    def on_train_begin(self, args, state, control, lr_scheduler: Any = None, **kwargs):
        if not isinstance(lr_scheduler, LambdaLR):
            raise UserError(
                f"training.lr_scheduler_type={args.lr_scheduler_type.value} follows what happens, and cannot be made "
                "to end at a time; take cosine or linear."
            )
        factors: list[Any] = lr_scheduler.lr_lambdas
        lr_scheduler.lr_lambdas = [self.by_time(factor) for factor in factors]

    def by_time(self, factor: Factor) -> Factor:
        """The factor of a step of `STEPS` -> that of the moment, whatever the step."""
        return lambda step: factor(min(STEPS - 1, round(self.share * STEPS)))

    def on_step_end(self, args, state, control, **kwargs):
        share = self.share
        control.should_training_stop = share >= 1
        if share * self.looks >= self.looked + 1:
            self.looked = int(share * self.looks)
            control.should_evaluate = True
            control.should_save = args.load_best_model_at_end
