"""Pushes to a Hub that fails at random requests, and pushes of several processes to one repository: what is said of the
repository is so, and it holds one model as a whole.
"""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random
from time import perf_counter
from typing import Any

import pytest
import torch
from fuzz.forks import Process, forked
from fuzz.judging import Verdict, peak, too_much
from hub_server.faults import Fault
from hub_server.hub import User
from hub_server.repository import Commit, Entry
from hub_server.server import HubServer
from huggingface_hub import close_session
from push_outcomes import BEFORE, FAULTS, KINDS, LENGTHS, Outage, untruth, without_waiting

from vit_hf import VisionTransformerForImageClassification
from vit_hf.files import hash_of
from vit_hf.hub.attempts import UNCHANGED
from vit_hf.hub.push import is_own_file, push

NEVER = Fault("slow", nth=10**9)


def run_pushes(seeds: range, hub: HubServer, model: Path, folder: Path) -> Iterator[Verdict]:
    """model: a folder with weights, processor and card."""
    with pytest.MonkeyPatch.context() as patch:
        without_waiting(patch)
        untruth(Outage("plain", "nothing", NEVER), hub, model, {})
        expected = hub.repository("plain/model").at().files
        requests = len(hub.requests(r"\bplain\b"))
        for seed in seeds:
            began = perf_counter()
            if Random(seed).random() < 0.3:
                kind, said, fault = "pushers", "", pushers_fault(seed, hub, model, folder / f"pushers-{seed}")
            else:
                outage = random_outage(seed, requests)
                kind, said, fault = "push", str(outage), untruth(outage, hub, model, expected)
            hub.faults.clear()
            hub.log.clear()
            seconds = perf_counter() - began
            yield Verdict(kind, seed, said, fault or too_much(seconds), seconds, peak())


def random_outage(seed: int, requests: int) -> Outage:
    random = Random(seed)
    one = random.random() < 0.5
    fault = random.choice([*(FAULTS if one else KINDS).values()])
    times = 1 if one else random.choice(LENGTHS)
    return Outage(f"owner{seed}", random.choice(BEFORE), replace(fault, nth=random.randint(1, requests), times=times))


def pushers_fault(seed: int, hub: HubServer, model: Path, folder: Path) -> str | None:
    """Two to four processes, each with a model and a card of its own, some of them on a Hub that fails meanwhile."""
    random, owner = Random(seed), f"many{seed}"
    hub.hub.users[f"hf_{owner}"] = User(owner)
    if random.random() < 0.5:
        hub.hub.create("models", f"{owner}/model", User(owner), private=False)
    if random.random() < 0.3:
        fault = random.choice([*KINDS.values(), FAULTS["half an answer"]])
        hub.faults.append(
            replace(fault, pattern=rf"\b{owner}\b", nth=random.randint(1, 40), times=random.randint(1, 4))
        )
    folders = [variant(model, folder / str(number), random) for number in range(random.choice([2, 2, 3, 4]))]
    close_session()  # whose connections no two processes may share
    processes = [forked(partial(push_one, own, owner), own.with_suffix(".txt")) for own in folders]
    ends = [ending(process.join()) for process in processes]
    repository = hub.hub.repositories.get(f"{owner}/model")
    commits = [] if repository is None else [*repository.history()][:-1]
    faults = [
        fault_of_pusher(process, end, own, commits) for process, end, own in zip(processes, ends, folders, strict=True)
    ]
    made = [card_of(own) for own in folders]
    faults += ["a commit holds the card of nobody" for one in commits if one.files["README.md"].sha256 not in made]
    shutil.rmtree(folder)
    return next((fault for fault in faults if fault), None)


def variant(model: Path, folder: Path, random: Random) -> Path:
    """Another model in one file or in several, with a card that nobody else has."""
    shutil.copytree(model, folder)
    whole: Any = VisionTransformerForImageClassification.from_pretrained(model)
    with torch.no_grad():
        whole.classifier.bias += random.random()
    (folder / "model.safetensors").unlink()
    whole.save_pretrained(folder, max_shard_size=random.choice(["20KB", "5GB"]))
    with (folder / "README.md").open("a") as card:
        card.write(f"\nOf {folder.name}.\n")
    return folder


def push_one(folder: Path, owner: str) -> int:
    try:
        print(json.dumps({"oid": push(folder, f"{owner}/model", token=f"hf_{owner}").oid}))
    except ValueError as error:
        print(json.dumps({"said": str(error)}))
    return 0


def ending(process: Process) -> dict[str, str]:
    lines = [line for line in process.said.splitlines() if line.startswith("{")]
    return json.loads(lines[-1]) if lines else {}


def card_of(folder: Path) -> str:
    return hash_of(folder / "README.md")


def is_whole(files: dict[str, Entry], folder: Path) -> bool:
    """The weights, the code and the card of a folder, and none besides."""
    there = {name for name in files if is_own_file(name)}
    return there == {path.name for path in folder.iterdir() if is_own_file(path.name)} and all(
        files[name].sha256 == hash_of(folder / name) for name in (*there, "config.json", "README.md")
    )


def fault_of_pusher(process: Process, end: dict[str, str], folder: Path, commits: list[Commit]) -> str | None:
    if not end or process.code:
        return f"ended with {process.code}: {process.said[-600:]}"
    own = [commit for commit in commits if commit.files["README.md"].sha256 == card_of(folder)]
    if mixed := [commit for commit in own if not is_whole(commit.files, folder)]:
        return f"the commit {mixed[0].id[:8]} mixes models: {sorted(mixed[0].files)}"
    if "oid" in end:
        return (
            None if [commit.id for commit in own] == [end["oid"]] else f"is told {end['oid'][:8]}, and it is not there"
        )
    said = end["said"]
    if own and not ("is made" in said or "is not known" in said):
        return f"says {said!r}, and its commit is there"
    if not own and "is made" in said:
        return f"says {said!r}, and it is not"
    words = (
        "Somebody else has pushed",
        "somebody else has pushed",
        "is made",
        "is not known",
        "may be left",
        UNCHANGED,
    )
    return None if any(word in said for word in words) else f"says nothing of the repository: {said!r}"
