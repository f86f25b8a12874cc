"""A training step never makes the host wait for the device, but where the run reports."""

import traceback
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from gpu.runs import trainer_for
from transformers import TrainerCallback

SAID = "called a synchronizing CUDA operation"
LOGGING, STEPS, WARM_UP = 6, 18, 2  # of an epoch of 20 steps: at its end the run looks at the loss
FRAMES = 6


class Watch(TrainerCallback):
    """Has torch warn of everything that waits, between two reports; as the last of the callbacks."""

    def __init__(self):
        self.watched = 0
        self.stacks: list[tuple[str, str]] = []

    def switch(self, mode: str) -> None:
        torch.cuda.set_sync_debug_mode(mode)

    def on_step_begin(self, args, state, control, **kwargs):
        if state.global_step >= WARM_UP:
            self.watched += 1
            self.switch("warn")

    def on_optimizer_step(self, args, state, control, **kwargs):
        if (state.global_step + 1) % LOGGING == 0:  # what follows is the report
            self.switch("default")

    def on_train_end(self, args, state, control, **kwargs):
        self.switch("default")

    def record(self, message: Any, category: type[Warning], filename: str, lineno: int, file=None, line=None) -> None:
        """In place of `warnings.showwarning`."""
        if SAID in str(message):
            frames = traceback.extract_stack()[:-1]
            own = [frame for frame in frames if "/vit_hf/" in frame.filename] or frames
            of_ours = f"{Path(own[-1].filename).name}:{own[-1].lineno}: {own[-1].line}"
            shown = [f"{frame.filename}:{frame.lineno}: {frame.line}" for frame in frames[-FRAMES:]]
            self.stacks.append((of_ours, "\n      ".join(shown)))

    def told(self) -> str:
        """For each line of ours how often it waited, and once how it came to that."""
        counts = Counter(line for line, _ in self.stacks)
        inner = dict(self.stacks)
        lines = [f"{count} x {line}\n      {inner[line]}" for line, count in counts.most_common()]
        return f"{len(self.stacks)} waits in {self.watched} steps:\n  " + "\n  ".join(lines)


def watched_run(family: str, folder: Path, **settings: Any) -> Watch:
    watch = Watch()
    trainer = trainer_for(family, folder, watch, batches=20, logging_steps=LOGGING, max_steps=STEPS, **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = watch.record
        try:
            trainer.train()
        finally:
            watch.switch("default")
    return watch


@pytest.mark.parametrize("family", ["vit", "swin", "timesformer"])
def test_no_step_between_two_reports_waits_for_the_device(card: torch.device, tmp_path: Path, family: str):
    watch = watched_run(family, tmp_path, max_grad_norm=1.0)
    assert watch.watched == STEPS - WARM_UP
    assert not watch.stacks, watch.told()


def test_a_wait_is_seen_and_told_with_its_line(device: torch.device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What the others prove is worth nothing where nobody would notice."""

    class Waits(TrainerCallback):
        def on_pre_optimizer_step(self, args, state, control, model: Any = None, **kwargs):
            if state.global_step == 3:
                if device.type == "cuda":
                    next(model.parameters()).sum().item()
                else:
                    warnings.warn(SAID, UserWarning, stacklevel=1)

    if device.type != "cuda":
        monkeypatch.setattr(Watch, "switch", lambda self, mode: None)
    watch = Watch()
    trainer = trainer_for("vit", tmp_path, Waits(), watch, max_steps=5, use_cpu=device.type == "cpu")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = watch.record
        trainer.train()
    assert watch.stacks, "a wait went unseen"
    assert any("test_synchronization.py" in shown for _, shown in watch.stacks), watch.told()
