"""Two to four trainings into one folder at once, of which one may be killed: one of them writes, and the others are
told which.
"""

import os
import re
import shutil
import signal
import socket
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from fuzz.forks import Process, difference, make_recipe, mixture_in, result_of, started, words_for
from fuzz.judging import Verdict, too_much

from vit_hf.finished_folder import recover
from vit_hf.weight_hash import weight_hash

SEEDS = (1, 2, 3)
WAYS = ([], ["--overwrite"], ["--resume"])


def run_writers(seeds: range, folder: Path) -> Iterator[Verdict]:
    alone = folder / "alone"
    alone.mkdir(parents=True)
    recipe = make_recipe(alone)

    @cache
    def whole(seed: int) -> dict[str, Any]:
        process = started(words_for(recipe, alone / str(seed), seed), alone / str(seed), alone / f"{seed}.txt").join()
        assert process.code == 0, process.said
        return result_of(alone / str(seed))

    for seed in seeds:
        place = folder / f"writers-{seed}"
        place.mkdir()
        yield writers_case(recipe, whole, seed, place)
        shutil.rmtree(place)


def writers_case(recipe: Path, whole: Callable[[int], dict[str, Any]], seed: int, place: Path) -> Verdict:
    random, folder = Random(seed), place / "out"
    processes, seeds = list[Process](), dict[int, int]()
    for number in range(random.choice([2, 2, 3, 4])):
        own = random.choice(SEEDS)
        words = words_for(recipe, folder, own, *random.choice(WAYS))
        processes.append(started(words, folder, place / f"{number}.txt"))
        seeds[processes[-1].number] = own
        time.sleep(random.choice([0, 0, 0.01, random.uniform(0, 3)]))
    if random.random() < 0.3:
        time.sleep(random.uniform(0, 2))
        random.choice(processes).kill()
    for process in in_order_of_their_ends(processes):
        process.join()
    faults = [fault_of_end(process, processes) for process in processes]
    done = sorted((process for process in processes if process.code == 0), key=lambda one: one.ended)
    killed = any(process.code == -signal.SIGKILL for process in processes)
    if folder.is_dir():
        recover(folder)
        faults.append(mixture_in(folder))
    if done:
        faults.append(difference(whole(seeds[done[-1].number]), result_of(folder)))
    elif not killed:
        faults.append(f"nobody got to the end: {[process.sentence for process in processes]}")
    elif weight_hash(folder) is not None and not any(
        (folder / "model.safetensors").read_bytes() == whole(own)["model.safetensors"] for own in seeds.values()
    ):
        faults.append("holds weights of none of them")
    said = " | ".join(process.sentence for process in processes if process.sentence)
    spent, memory = max(one.seconds for one in processes), max(one.memory for one in processes)
    found = next((fault for fault in [*faults, too_much(spent, memory)] if fault), None)
    return Verdict("writers", seed, said, found, spent, memory)


def in_order_of_their_ends(processes: list[Process]) -> Iterator[Process]:
    """Waits for the next to end, so that its time is noted."""
    left = {process.number: process for process in processes}
    while left:
        info = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
        assert info is not None
        yield left.pop(info.si_pid)


def fault_of_end(process: Process, processes: list[Process]) -> str | None:
    """Whoever is named as the writer is one of the others, and was running."""
    if process.code not in (0, 2, -signal.SIGKILL) or "Traceback" in process.said:
        return f"ended with {process.code}: {process.said[-600:]}"
    said = process.sentence
    if process.code != 2:
        return None
    if "is writing into" in said:
        if said.startswith("Another run"):
            return None
        named = re.match(rf"Process (\d+) on {re.escape(socket.gethostname())} is writing into", said)
        writer = next((one for one in processes if named and str(one.number) == named[1] and one is not process), None)
        if writer is None or writer.began > process.ended or writer.ended < process.began:
            return f"says {said!r}, which is none of {[one.number for one in processes]} at that time"
        return None
    expected = ("holds a finished model", "holds checkpoints of an earlier run", "The run has changed since")
    return None if any(words in said for words in expected) else f"says {said!r}"
