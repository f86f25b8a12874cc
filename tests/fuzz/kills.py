"""Runs that are killed at a random moment, and again, and then resumed: they end with the same bits."""

import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from fuzz.judging import Verdict
from killable_runs import Averages, small_trainer

from vit_hf.training.trainer.callbacks import reproducible

EVENTS = {"open", "os.rename", "os.remove", "os.mkdir"}  # as Python itself tells of them
LAST = "checkpoint-18"
SAME = ("model.safetensors", "states/Averages.safetensors", "optimizer.pt", "scheduler.pt", "run.json")


def in_a_fork(work: Callable[[], Any]) -> int:
    """-> how it ended: 0, 1 for an error, or the negative number of the signal that killed it"""
    process = os.fork()
    if process == 0:
        code = 1
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what a run reports of itself
            work()
            code = 0
        except BaseException:  # noqa: BLE001 - a fork must never return into what it was forked from
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def train(folder: Path, *, resume: bool, dies_at: int | None = None) -> None:
    """dies_at: the number of the event in the run's own folder at which SIGKILL comes."""
    seen = 0

    def watch(event: str, arguments: Any) -> None:
        nonlocal seen
        if event in EVENTS and str(arguments[0]).startswith(str(folder)):
            seen += 1
            if seen == dies_at:
                os.kill(os.getpid(), signal.SIGKILL)

    if dies_at is not None:
        sys.addaudithook(watch)
    small_trainer(folder, Averages()).train(resume_from_checkpoint=resume)


def run_kills(seeds: range, folder: Path) -> Iterator[Verdict]:
    """One run without a kill, and one of up to three for each seed."""
    whole = folder / "whole"
    assert in_a_fork(partial(train, whole, resume=False)) == 0
    for seed in seeds:
        random, killed, kills = Random(seed), folder / f"killed-{seed}", 0
        for _ in range(random.choice([1, 1, 2, 3])):
            moment = random.randrange(1, 130)
            kills += in_a_fork(partial(train, killed, resume=True, dies_at=moment)) == -signal.SIGKILL
        ended = in_a_fork(partial(train, killed, resume=True))
        fault = f"the resumed run ended with {ended}" if ended else difference(whole, killed)
        yield Verdict("kill", seed, f"killed {kills} times" * (kills > 0), fault)
        shutil.rmtree(killed)


def difference(one: Path, other: Path) -> str | None:
    for name in SAME:
        if (one / LAST / name).read_bytes() != (other / LAST / name).read_bytes():
            return f"{name} is another"
    logs = [reproducible((folder / "metrics.jsonl").read_text(encoding="utf-8")) for folder in (one, other)]
    return None if logs[0] == logs[1] else "metrics.jsonl is another"
