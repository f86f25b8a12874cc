"""`vit-hf train` in processes of their own, forked from one that has imported everything, and killed on demand."""

import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from made_images import class_folders

import vit_hf.runs.train
from vit_hf.commands.train import main
from vit_hf.training.trainer.callbacks import reproducible
from vit_hf.training.trainer.trainer import Trainer
from vit_hf.weight_hash import hash_named_in, weight_hash

EVENTS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir"}  # as Python itself tells of them
SMALL = {"image_size": 8, "patch_size": 4, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
STEPS, EVERY = 6, 2
CLOCKS = ("seconds", "per_second", "runtime")


@dataclass
class Process:
    """A command that runs, or has ended. code: its exit code, or the negative number of the signal that killed it."""

    number: int
    words: list[str]
    said_in: Path
    began: float = field(default_factory=time.monotonic)
    ended: float = 0.0
    code: int | None = None
    memory: float = 0.0

    def join(self) -> "Process":
        _, status, usage = os.wait4(self.number, 0)
        self.code, self.ended = os.waitstatus_to_exitcode(status), time.monotonic()
        self.memory = usage.ru_maxrss * 1024.0
        return self

    def kill(self) -> None:
        os.kill(self.number, signal.SIGKILL)

    @property
    def said(self) -> str:
        return self.said_in.read_text(encoding="utf-8", errors="replace")

    @property
    def sentence(self) -> str:
        """What it was refused with."""
        lines = [line for line in self.said.splitlines() if line.startswith("error: ")]
        return lines[-1].removeprefix("error: ") if lines else ""

    @property
    def seconds(self) -> float:
        return self.ended - self.began

    @property
    def notes(self) -> dict[str, Any]:
        """What it noted of itself: its steps."""
        file = self.said_in.with_suffix(".json")
        return json.loads(file.read_text()) if file.is_file() else {}


def forked(work: Callable[[], int], said_in: Path, words: list[str] | None = None) -> Process:
    """work: -> the exit code"""
    sys.stdout.flush()
    sys.stderr.flush()
    number = os.fork()
    if number:
        return Process(number, words or [], said_in)
    code = 70
    try:
        said = os.open(said_in, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(said, 1)
        os.dup2(said, 2)
        sys.stdout, sys.stderr = os.fdopen(1, "w", buffering=1), os.fdopen(2, "w", buffering=1)
        code = work()
    except BaseException:  # noqa: BLE001 - a fork must never return into what it was forked from
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def started(words: list[str], folder: Path, said_in: Path, *, dies_at: int | None = None) -> Process:
    """`vit-hf train` into a folder. dies_at: the number of the event there at which SIGKILL comes."""

    def work() -> int:
        notes, seen = said_in.with_suffix(".json"), 0
        steps, train_step = [], Trainer.training_step

        def note() -> None:
            beside = notes.with_suffix(".new")  # or a kill could leave half of them
            beside.write_text(json.dumps({"steps": steps, "events": seen, "last": last}))
            beside.replace(notes)

        def step(self: Any, *arguments: Any, **options: Any) -> Any:
            nonlocal last
            steps.append(self.state.global_step + 1)
            last = seen
            note()
            return train_step(self, *arguments, **options)

        def watch(event: str, arguments: Any) -> None:
            nonlocal seen
            if event in EVENTS and str(arguments[0]).startswith(str(folder)):
                seen += 1
                if seen == dies_at:
                    os.kill(os.getpid(), signal.SIGKILL)

        last = 0
        Trainer.training_step = step
        # A fresh process, which loads the finished folder once more, takes longer than the training.
        vit_hf.runs.train.reload_as_stranger = lambda folder, examples: []
        sys.addaudithook(watch)
        code = main(words)
        note()
        return code

    return forked(work, said_in, words)


def make_recipe(folder: Path) -> Path:
    """Six steps on a handful of noisy photos, with a checkpoint after each two."""
    photos = class_folders(folder / "photos", {"cat": 8, "dog": 7})
    training = {"max_steps": STEPS, "save_strategy": "steps", "save_steps": EVERY, "per_device_train_batch_size": 4}
    sections = {
        "model": {**SMALL, "intermediate_size": 32, "drop_path_rate": 0.2},
        "data": {"name": str(photos), "train": {"flip": 0.5}},
        "optimization": {"ema": {"decay": 0.9}},
        "training": training,
    }
    path = folder / "recipe.yaml"
    path.write_text(json.dumps(sections))
    return path


def words_for(recipe: Path, folder: Path, seed: int, *more: str) -> list[str]:
    return [str(recipe), "--training.output_dir", str(folder), "--training.seed", str(seed), *more]


def without_clocks(content: Any) -> Any:
    if isinstance(content, dict):
        return {
            name: without_clocks(value) for name, value in content.items() if not any(clock in name for clock in CLOCKS)
        }
    return [without_clocks(one) for one in content] if isinstance(content, list) else content


def result_of(folder: Path) -> dict[str, Any]:
    """Of a finished run all that no clock decides: weights, figures, the log and the names of the files."""
    metrics = without_clocks(json.loads((folder / "metrics.json").read_text(encoding="utf-8")))
    recipe = (folder / "recipe.yaml").read_text(encoding="utf-8")
    return {
        "model.safetensors": (folder / "model.safetensors").read_bytes(),
        "metrics.json": metrics,
        "metrics.jsonl": reproducible((folder / "metrics.jsonl").read_text(encoding="utf-8")),
        "recipe.yaml": [line for line in recipe.splitlines() if "output_dir" not in line],
        "the card's hash": hash_named_in((folder / "README.md").read_text(encoding="utf-8")),
        "split.jsonl": (folder / "split.jsonl").read_bytes(),
        "files": sorted(path.name for path in folder.iterdir() if not path.name.startswith("checkpoint-")),
    }


def difference(one: dict[str, Any], other: dict[str, Any]) -> str | None:
    differing = [name for name, value in one.items() if other.get(name) != value]
    names = {*one["files"]} ^ {*other["files"]}
    return f"{' and '.join(differing)} differ{f' ({names})' if names else ''}" if differing else None


def mixture_in(folder: Path) -> str | None:
    """What of a folder is of two runs; None where it is of one, or of none."""
    hashes = {"the weights": weight_hash(folder)}
    card, metrics = folder / "README.md", folder / "metrics.json"
    if card.is_file():
        hashes["the card"] = hash_named_in(card.read_text(encoding="utf-8"))
    if metrics.is_file():
        hashes["the figures"] = json.loads(metrics.read_text(encoding="utf-8"))["weights_sha256"]
    return None if len(set(hashes.values())) == 1 else f"mixes runs: {hashes}"
