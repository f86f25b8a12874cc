"""Trainings that are killed at a random moment, and again, and then go on: what lies there is of one run at any time,
and they end with the same bits.
"""

import re
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import NamedTuple

from fuzz.forks import (
    EVERY,
    STEPS,
    Process,
    difference,
    make_recipe,
    mixture_in,
    result_of,
    started,
    words_for,
)
from fuzz.judging import Verdict, too_much
from fuzz.truth import changes, snapshot

from vit_hf.finished_folder import move_in
from vit_hf.training.trainer.checkpoints import fault_of
from vit_hf.weight_hash import weight_hash

FIRST, SECOND = 1, 2  # seeds: of the run that may lie there already, and of that which is killed


class Whole(NamedTuple):
    """A run that nothing befell. events: in its folder, and how many of them came before its last step."""

    recipe: Path
    second: Path
    events: int
    last: int
    seconds: float


def make_whole(folder: Path) -> Whole:
    folder.mkdir(parents=True)
    recipe = make_recipe(folder)
    second = started(words_for(recipe, folder / "second", SECOND), folder / "second", folder / "second.txt").join()
    assert second.code == 0, second.said
    notes = second.notes
    return Whole(recipe, folder / "second", notes["events"], notes["last"], second.seconds)


def first_of(whole: Whole) -> Path:
    """A finished model of another run, without checkpoints; made where it is asked for."""
    first = whole.second.parent / "first"
    if not first.exists():
        words = words_for(whole.recipe, first, FIRST, "--training.save_strategy", "no")
        process = started(words, first, first.with_suffix(".txt")).join()
        assert process.code == 0, process.said
    return first


def kill_once(whole: Whole, words: list[str], killed: Path, said_in: Path, random: Random) -> Process:
    """At an event in its folder, every second time after the last step; or after a while, in whatever it does then."""
    if random.random() < 0.25:
        process = started(words, killed, said_in)
        time.sleep(random.uniform(0, whole.seconds))
        process.kill()
        return process.join()
    moment = random.randint(1, whole.events) if random.random() < 0.5 else random.randint(whole.last, whole.events)
    return started(words, killed, said_in, dies_at=moment).join()


def run_kills(seeds: range, folder: Path) -> Iterator[Verdict]:
    """Each killed up to three times, and then brought to its end."""
    whole = make_whole(folder / "whole")
    for seed in seeds:
        place = folder / f"kill-{seed}"
        place.mkdir()
        yield kill_case(whole, seed, place)
        shutil.rmtree(place)


def kill_case(whole: Whole, seed: int, place: Path) -> Verdict:
    random, killed, processes = Random(seed), place / "out", list[Process]()
    faults: list[str | None] = []
    over = random.random() < 0.4
    if over:  # what is trained anew takes the place of a finished model
        shutil.copytree(first_of(whole), killed)
    words = words_for(whole.recipe, killed, SECOND)
    more = ["--overwrite"] if over else ["--resume"]
    for number in range(random.choice([1, 1, 2, 3])):
        process = kill_once(whole, [*words, *more], killed, place / f"{number}.txt", random)
        processes.append(process)
        faults += [fault_of_end(process, killed), fault_of_folder(whole, killed, over=over)]
        if random.random() < 0.4:
            before = shown_in(killed)
            plain = started(words, killed, place / f"{number}-again.txt").join()
            faults.append(fault_of_plain(plain, before, killed))
            processes.append(plain)
        more = ["--resume"]
    last = started([*words, "--resume"], killed, place / "last.txt").join()
    processes.append(last)
    if last.code == 2 and "no checkpoint of it to go on from" in last.sentence:
        faults.append("there are checkpoints" if [*killed.glob("checkpoint-*")] else None)
        last = started([*words, "--overwrite"], killed, place / "over.txt").join()
        processes.append(last)
    faults.append(fault_of_end(last, killed))
    if last.code == 0:
        faults += [difference(result_of(whole.second), result_of(killed)), fault_of_resuming(last, killed)]
    else:
        faults.append(f"ended with {last.code}: {last.said[-300:]}")
    spent, memory = max(one.seconds for one in processes), max(one.memory for one in processes)
    kills = sum(one.code == -signal.SIGKILL for one in processes)
    found = next((fault for fault in [*faults, too_much(spent, memory)] if fault), None)
    return Verdict("kill", seed, f"killed {kills} times" * (kills > 0), found, spent, memory)


def fault_of_end(process: Process, killed: Path) -> str | None:
    """Of one command: a traceback, or a sentence that is not so."""
    if process.code not in (0, 2, -signal.SIGKILL) or "Traceback" in process.said:
        return f"ended with {process.code}: {process.said[-600:]}"
    return fault_of_resuming(process, killed)


def fault_of_resuming(process: Process, killed: Path) -> str | None:
    """Where it says that it goes on from is where its steps go on."""
    steps, said = process.notes.get("steps", []), process.said
    where = re.search(r"Resuming from \S*checkpoint-(\d+)\.", said)
    if where is not None and steps and steps[0] != int(where[1]) + 1:
        return f"says {where[0]!r} and goes on with step {steps[0]}"
    if "from the start" in said and steps and steps[0] != 1:
        return f"says that it starts, and goes on with step {steps[0]}"
    if where is not None and int(where[1]) % EVERY:
        return f"goes on from {where[0]!r}, which no run writes"
    in_order = not steps or steps == [*range(steps[0], steps[-1] + 1)]
    return None if in_order and max(steps, default=0) <= STEPS else f"took the steps {steps}"


def fault_of_folder(whole: Whole, killed: Path, *, over: bool) -> str | None:
    """After a kill: one run's model and card, or none; and under the name of a checkpoint nothing but whole ones."""
    if not killed.is_dir():
        return "the finished model is lost" if over else None
    if damaged := [fault for one in killed.glob("checkpoint-*") if (fault := fault_of(one))]:
        return f"leaves a checkpoint of which {damaged[0]}"
    known = {weight_hash(whole.second)} | ({weight_hash(first_of(whole))} if over else set())
    move_in(killed)  # as whoever loads it does
    found = weight_hash(killed)
    if found is None:
        return "the finished model is lost" if over else None
    return mixture_in(killed) if found in known else "holds weights of no run"


def shown_in(killed: Path) -> dict[str, str]:
    """But for what is hidden: locks, and what lies aside."""
    found = snapshot(killed) if killed.is_dir() else {}
    return {name: one for name, one in found.items() if not name.startswith(".")}


def fault_of_plain(process: Process, before: dict[str, str], killed: Path) -> str | None:
    """Without --resume: trained from the start where nothing lies there; else refused with what does, and it stays."""
    said = process.sentence
    if process.code != 2:
        return fault_of_end(process, killed) or ("is not refused" if "checkpoint" in " ".join(before) else None)
    named = re.search(r"up to (checkpoint-\d+)", said)
    if named and not (killed / named[1]).is_dir():
        return f"says {said!r}, and there is no {named[1]}"
    if "holds a finished model" in said and weight_hash(killed) is None:
        return f"says {said!r}, and there is none"
    after = shown_in(killed)
    return changes(before, {name: one for name, one in after.items() if name in before})
