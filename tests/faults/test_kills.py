import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from killable_runs import Averages, small_trainer
from processes import ended, started, wait_for
from safetensors.torch import load_file

from vit_hf.commands.cli import RESUMABLE
from vit_hf.training.trainer.callbacks import reproducible
from vit_hf.training.trainer.checkpoints import ASIDE, checkpoints_in, fault_of

OFTEN: dict[str, Any] = {"save_steps": 1, "num_train_epochs": 5}  # 30 steps, a checkpoint after each
LAST = "checkpoint-30"


def finish(folder: Path, *, resume: bool) -> Path:
    small_trainer(folder, Averages(), **OFTEN).train(resume_from_checkpoint=resume)
    return folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finish(tmp_path_factory.mktemp("whole"), resume=False)


def assert_same(one: Path, other: Path) -> None:
    """The same weights, moments, averages, random numbers to come, and reports."""
    for name in ("model.safetensors", "states/Averages.safetensors"):
        ours, theirs = load_file(one / LAST / name), load_file(other / LAST / name)
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    for name in ("optimizer.pt", "scheduler.pt", "processes.pt", "run.json"):
        assert (one / LAST / name).read_bytes() == (other / LAST / name).read_bytes(), name
    logs = [reproducible((folder / "metrics.jsonl").read_text()) for folder in (one, other)]
    assert logs[0] == logs[1]


def test_a_run_killed_while_it_writes_a_checkpoint_and_again_while_it_trains_ends_the_same(tmp_path: Path, whole: Path):
    half = tmp_path / f"{ASIDE}checkpoint-8" / "optimizer.pt"
    moments: list[dict[str, Any]] = [{"dies_within": half}, {"dies_at_step": 19}]
    for number, moment in enumerate(moments):
        process = started(tmp_path, resume=number > 0, **OFTEN, **moment)
        with ended(process):
            pass
        assert process.exitcode == -signal.SIGKILL
        if number == 0:
            assert half.is_file()
            assert checkpoints_in(tmp_path)[-1].name == "checkpoint-7"
    assert_same(finish(tmp_path, resume=True), whole)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1], ids=lambda number: number.name)
def test_a_scheduler_s_signal_saves_at_the_end_of_the_step_and_leaves_with_75(
    tmp_path: Path, whole: Path, number: signal.Signals
):
    strategy = "no" if number == signal.SIGUSR1 else "steps"
    # 26 slow steps remain when the first loss is written, which is time enough on a busy machine.
    process = started(tmp_path, **{**OFTEN, "save_strategy": strategy}, seconds_per_step=0.3)
    with ended(process):
        wait_for(lambda: (tmp_path / "metrics.jsonl").exists() and "loss" in read(tmp_path / "metrics.jsonl"), process)
        os.kill(process.pid or 0, number)
    assert process.exitcode == RESUMABLE == 75
    saved = checkpoints_in(tmp_path)[-1]
    assert fault_of(saved) is None
    assert saved.name != LAST
    assert_same(finish(tmp_path, resume=True), whole)


def test_a_second_signal_ends_the_run_at_once(tmp_path: Path):
    said = tmp_path / "stderr.txt"
    process = started(tmp_path, **OFTEN, seconds_per_step=600, says_in=said)
    with ended(process):
        wait_for((tmp_path / "metrics.jsonl").exists, process)
        os.kill(process.pid or 0, signal.SIGUSR1)
        wait_for(lambda: "SIGUSR1: saving at the end of this step" in read(said), process)
        os.kill(process.pid or 0, signal.SIGTERM)
    assert process.exitcode == -signal.SIGTERM


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")
