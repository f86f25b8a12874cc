"""A scheduler that takes the machine back: save at the end of the step, and leave with a code that says so."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import distributed
from transformers import TrainerCallback

EXIT_CODE = 75  # EX_TEMPFAIL of sysexits.h: nothing is wrong, try again
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
