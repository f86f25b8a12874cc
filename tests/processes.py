"""Processes to kill and to distribute, forked from one that has spent the seconds of importing torch already."""

import json
import multiprocessing
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch
from accelerate.state import AcceleratorState, DistributedType
from datasets import config
from killable_runs import Averages, small_images, small_trainer
from transformers import TrainerCallback

from vit_hf.commands.cli import RESUMABLE
from vit_hf.training.trainer.callbacks import CLOCK, Interrupted

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["vit_hf.training.trainer.trainer", "accelerate.utils"])


# What `accelerate launch --config_file configuration/accelerate/fsdp2.yaml` puts into the environment.
FSDP2 = {
    "ACCELERATE_USE_FSDP": "true",
    "FSDP_VERSION": "2",
    "FSDP_STATE_DICT_TYPE": "FULL_STATE_DICT",
    "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP",
    "FSDP_RESHARD_AFTER_FORWARD": "true",
}


class Dies(TrainerCallback):
    """A kill -9 that comes exactly there, however busy the machine is: at the beginning of a step, or ..."""

    def __init__(self, step: int):
        self.step = step

    def on_step_begin(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            os.kill(os.getpid(), signal.SIGKILL)


def die_within(file: Path) -> None:
    """... when half of a file has been written."""
    save = torch.save

    def save_half(content: Any, path: Any, *args: Any, **options: Any) -> None:
        save(content, path, *args, **options)
        if Path(path) == file:
            os.truncate(file, file.stat().st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)

    torch.save = save_half


class Slow(TrainerCallback):
    """A step that takes as long as a test needs, but can be interrupted."""

    def __init__(self, seconds: float):
        self.seconds = seconds

    def on_step_begin(self, args, state, control, **kwargs):
        end = time.monotonic() + self.seconds
        while time.monotonic() < end:
            time.sleep(0.01)


def shard_on_cpu() -> None:
    """Accelerate takes FSDP on accelerators only, though torch shards on the CPU as well: say that it is one."""
    begin = AcceleratorState.__init__

    def begin_sharded(self, *args, fsdp_plugin=None, **kwargs):
        begin(self, *args, fsdp_plugin=fsdp_plugin, **kwargs)
        if fsdp_plugin is not None:
            self.distributed_type, self.fsdp_plugin = DistributedType.FSDP, fsdp_plugin

    AcceleratorState.__init__ = begin_sharded


def begin_in(environment: dict[str, str]) -> None:
    os.environ.update(environment)
    if "ACCELERATE_USE_FSDP" in environment:
        shard_on_cpu()


def save_evaluation(trainer: Any, images: int, folder: Path) -> None:
    """What an evaluation and a prediction of so many images find, after a first step, which shards the model."""
    trainer.train()
    data = small_images(images=images)
    figures, predicted = trainer.evaluate(data), trainer.predict(data)
    if trainer.is_world_process_zero():
        folder.mkdir(parents=True, exist_ok=True)
        found = {name: value for name, value in figures.items() if not any(word in name for word in (*CLOCK, "time"))}
        found |= {"test_loss": predicted.metrics["test_loss"], "logits": predicted.predictions.tolist()}
        (folder / "evaluation.json").write_text(json.dumps(found))


def run(folder: Path, resume: bool, environment: dict[str, str], settings: dict[str, Any]) -> None:
    """What a process does: one small run, and the exit code of the command.

    seconds_per_step, dies_at_step, dies_within: as Slow, Dies and die_within say. says_in: where its stderr goes.
    balanced: draw both classes as often, of which the first has three images. evaluates: so many images, at the end.
    """
    begin_in(environment)
    callbacks: list[TrainerCallback] = [Averages(), Slow(settings.pop("seconds_per_step", 0))]
    if (step := settings.pop("dies_at_step", None)) is not None:
        callbacks.append(Dies(step))
    if file := settings.pop("dies_within", None):
        die_within(file)
    if said := settings.pop("says_in", None):
        os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT), 2)
    try:
        balanced, evaluates = settings.pop("balanced", False), settings.pop("evaluates", None)
        trainer: Any = small_trainer(folder, *callbacks, **settings)
        if balanced:
            trainer.train_dataset.balanced = True
            trainer.train_dataset.labels[3:] = 1
        if evaluates is None:
            trainer.train(resume_from_checkpoint=resume)
        else:
            save_evaluation(trainer, evaluates, folder)
    except Interrupted:
        sys.exit(RESUMABLE)


def run_recipe(recipe: Path, words: list[str], resume: str | bool, environment: dict[str, str]) -> None:
    """What a process of `vit-hf train` does, up to the finished model."""
    from vit_hf.runs.setup import prepare
    from vit_hf.runs.train import train_prepared
    from vit_hf.training.recipe.recipe import load_recipe

    begin_in(environment)
    config.HF_DATASETS_CACHE = recipe.parent / "cache"
    run = train_prepared(prepare(load_recipe(recipe, words)), resume)
    if run.trainer.is_world_process_zero():
        run.place()


MOMENTS = ("weights saved", "report written", "on its way", "half in place")


def die_at(moment: str) -> None:
    """Between the last step and the finished folder: a kill -9 once the weights lie aside, before a whole result moves,
    once it is on its way, or with half of it in place."""
    from vit_hf import finished_folder
    from vit_hf.runs import results

    def die(*arguments: Any, **options: Any) -> Any:
        os.kill(os.getpid(), signal.SIGKILL)

    if moment == "weights saved":
        results.save_history = die
    elif moment == "report written":
        results.put_in_place = die
    elif moment == "on its way":
        finished_folder.move_in = lambda folder: (folder / finished_folder.READY).is_dir() and die()
    else:
        replace = Path.replace

        def replace_until_half(path: Path, target: Any) -> Path:
            if path.name == "preprocessor_config.json" and path.parent.name == finished_folder.READY:
                die()
            return replace(path, target)

        Path.replace = replace_until_half  # pyright: ignore[reportAttributeAccessIssue]


def run_command(words: list[str], dies: str | None, environment: dict[str, str]) -> None:
    """`vit-hf train` with these words, in silence; dies: at one of the moments, if at any."""
    from vit_hf.commands.train import main

    begin_in(environment)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    if dies is not None:
        import vit_hf.public  # noqa: F401 - so that what is replaced is there already

        die_at(dies)
    sys.exit(main(words))


def started_command(*words: str, dies: str | None = None, environment: dict[str, str] | None = None) -> Any:
    process = CONTEXT.Process(target=run_command, args=(list(words), dies, environment or {}), daemon=True)
    process.start()
    return process


def started(folder: Path, *, resume: bool = False, environment: dict[str, str] | None = None, **settings: Any):
    process = CONTEXT.Process(target=run, args=(folder, resume, environment or {}, settings), daemon=True)
    process.start()
    return process


@contextmanager
def ended(*processes: BaseProcess, seconds: float = 300) -> Iterator[None]:
    """Nothing is left running when a test fails, or when a busy machine took more than `seconds`."""
    try:
        yield
        for process in processes:
            process.join(seconds)
    finally:
        for process in processes:
            process.kill()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def group_of(count: int) -> list[dict[str, str]]:
    """What the environments of processes say that know of each other."""
    group = {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    return [{**group, "RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(count)]


def started_group(count: int, folder: Path, *, resume: bool = False, sharded: bool = False, **settings: Any):
    """The same run in `count` processes, by DDP or FSDP2."""
    kind = FSDP2 if sharded else {}
    return [started(folder, resume=resume, environment=kind | own, **settings) for own in group_of(count)]


def finish_group(count: int, folder: Path, **settings: Any) -> None:
    all_succeed(started_group(count, folder, **settings))


def finish_recipe(
    count: int, recipe: Path, *words: str, resume: str | bool = False, environment: dict[str, str] | None = None
) -> None:
    """The training of a recipe in `count` processes."""
    arguments = [(recipe, list(words), resume, {**(environment or {}), **own}) for own in group_of(count)]
    processes = [CONTEXT.Process(target=run_recipe, args=own, daemon=True) for own in arguments]
    for process in processes:
        process.start()
    all_succeed(processes)


def all_succeed(processes: Sequence[BaseProcess]) -> None:
    with ended(*processes):
        pass
    assert [process.exitcode for process in processes] == [0] * len(processes)


def wait_for(condition: Callable[[], bool], process: BaseProcess) -> None:
    """Without a pause, to meet the moment; the process may not end before it comes."""
    while not condition():
        assert process.is_alive(), f"the process ended with {process.exitcode} before what was waited for"
