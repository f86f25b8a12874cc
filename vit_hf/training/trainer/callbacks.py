"""A loss that is no number any more: found without making the device wait, and traced to its step and its images."""

import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import distributed
from transformers import TrainerCallback, TrainerControl

from ...errors import UserError
from .checkpoints import newest_complete

NEVER = torch.iinfo(torch.int64).max


class LossIsBroken(UserError):
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
        self.broke_at = self.broke_at.masked_fill(broken, state.global_step)
        self.look_if_cheap(control)

    def on_epoch_end(self, args, state, control, **kwargs):
        self.look_if_cheap(control)

    def look_if_cheap(self, control: TrainerControl) -> None:
        waits_anyway = control.should_log or control.should_evaluate or control.should_save
        if self.looks_always or waits_anyway or control.should_training_stop:
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


METRICS_FILE = "metrics.jsonl"
CLOCK = ("runtime", "per_second", "seconds", "memory", "wait", "mfu")  # these differ from run to run


def line_of(record: dict[str, Any]) -> str:
    """Figures that a repetition reproduces first, and those of the machine apart, under "clock"; in the order of the
    alphabet, in which a checkpoint keeps them."""
    clock = {name: value for name, value in sorted(record.items()) if any(word in name for word in CLOCK)}
    figures = {name: value for name, value in sorted(record.items()) if name not in clock}
    return json.dumps({"step": figures.pop("step", None), **figures, **({"clock": clock} if clock else {})}) + "\n"


def reproducible(text: str) -> list[dict[str, Any]]:
    """The lines of a log without their clocks, to compare two runs by."""
    lines = [json.loads(line) for line in text.splitlines()]
    return [{name: value for name, value in line.items() if name != "clock"} for line in lines]


class MetricLog(TrainerCallback):
    """Begins with what the checkpoint's run had reported up to then, so that nothing is missing and nothing double."""

    def on_train_begin(self, args, state, control, **kwargs):
        if state.is_world_process_zero:
            path = Path(str(args.output_dir)) / METRICS_FILE
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(line_of(record) for record in state.log_history), encoding="utf-8")

    def on_log(self, args, state, control, logs=None, **kwargs):
        path = Path(str(args.output_dir)) / METRICS_FILE
        if state.is_world_process_zero and path.parent.is_dir() and state.log_history:
            with path.open("a", encoding="utf-8") as file:
                file.write(line_of(state.log_history[-1]))


SIGNALS = [signal.SIGTERM, signal.SIGUSR1] if hasattr(signal, "SIGUSR1") else [signal.SIGTERM]


class Interrupted(Exception):
    """The run stopped because it was told to, and can go on from `checkpoint`."""

    def __init__(self, name: str, step: int, checkpoint: Path):
        super().__init__(f"{name} came; stopped after step {step}, saved in {checkpoint}")
        self.checkpoint = checkpoint


class Interruption(TrainerCallback):
    """Turns SIGTERM and SIGUSR1 into one last checkpoint. A second signal ends the process at once.

    In a distributed run one process may hear of it a step before the others; they agree at the end of every step,
    over the CPU's network, which costs a tenth of a millisecond and makes no device wait.
    """

    def __init__(self):
        self.heard: signal.Signals | None = None
        self.group: Any = None
        self.stopping = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Only the main thread may listen; training in another one is interrupted as ever."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.hear) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def hear(self, number: int, frame) -> None:
        self.heard = signal.Signals(number)
        for each in SIGNALS:
            signal.signal(each, signal.SIG_DFL)
        # print may be in the middle of printing; write is allowed here.
        os.write(2, f"\n{self.heard.name}: saving at the end of this step; again to end at once.\n".encode())

    def on_train_begin(self, args, state, control, **kwargs):
        self.stopping = False
        if distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1:
            self.group = distributed.new_group(backend="gloo")

    def anyone_heard(self) -> bool:
        if self.group is None:
            return self.heard is not None
        heard = torch.tensor(int(self.heard or 0))
        distributed.all_reduce(heard, distributed.ReduceOp.MAX, group=self.group)
        if heard and self.heard is None:
            self.heard = signal.Signals(int(heard))
        return bool(heard)

    def on_step_end(self, args, state, control, **kwargs):
        if self.anyone_heard():
            self.stopping = True
            control.should_save = True

    def on_save(self, args, state, control, **kwargs):
        if self.stopping and self.heard is not None:
            folder = Path(str(args.output_dir)) / f"checkpoint-{state.global_step}"
            raise Interrupted(self.heard.name, state.global_step, folder)
