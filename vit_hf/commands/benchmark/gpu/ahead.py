"""Compiling ahead: processes that each compile one thing after another into the caches that they share on disk, so that
the process that measures takes it from there."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol

import torch

from .samples import clear_up, one_line

THREADS = "2"  # with which a process of these compiles kernels itself
PATIENCE = 240.0  # seconds for one of them
OUT_OF_MEMORY = "OutOfMemoryError"


class Compilable(Protocol):
    """Something that can be sent to another process, and compiles when it runs."""

    @property
    def seconds_to_compile(self) -> float: ...

    def run_once(self, device: torch.device) -> None: ...


@contextmanager
def environment(**variables: str) -> Iterator[None]:
    """Set meanwhile, for processes that start."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def share_compiled_code(device: torch.device) -> None:
    """The same settings in every process, since the caches' keys hold them. With the backward pass compiled before the
    forward pass runs, both are in the caches even where the memory for running them is short."""
    if device.type == "cuda":
        torch.backends.fp32_precision = "tf32"  # as transformers' Trainer sets it where it compiles
    import torch._functorch.config as autograd
    import torch._inductor.config as inductor

    inductor.fx_graph_cache = True
    autograd.enable_autograd_cache = True
    autograd.force_non_lazy_backward_lowering = True


def compile_one(task: Compilable, device: torch.device) -> str | None:
    """-> why it failed, if it did. Out of memory it tries once more: by then it may be compiled, and others done."""
    said = None
    for _ in range(2):
        try:
            task.run_once(device)
            return None
        except BaseException as error:  # noqa: BLE001 (whatever a compiler raises)
            said = one_line(error)
        finally:
            clear_up(device)
        if OUT_OF_MEMORY not in said:
            break
    return said


def serve(connection: Connection, device_name: str) -> None:
    """What a process does: tasks come in, and of each its error, or None, goes out."""
    from importlib import import_module

    from ..peers import libraries_beside

    import_module("vit_hf.public")  # registers the families
    device = torch.device(device_name)
    share_compiled_code(device)
    torch.set_num_threads(1)
    with libraries_beside(None), suppress(EOFError, OSError):  # whoever gave the tasks may be gone
        while (task := connection.recv()) is not None:
            connection.send(compile_one(task, device))


@dataclass
class Compiler:
    """One such process, and what it is at."""

    device: torch.device
    task: Any = None
    since: float = 0.0
    process: Any = field(init=False)
    connection: Connection = field(init=False)

    def __post_init__(self):
        self.start()

    def start(self) -> None:
        context = get_context("spawn")
        self.connection, other = context.Pipe()
        self.process = context.Process(target=serve, args=(other, str(self.device)), daemon=False)
        with environment(TORCHINDUCTOR_COMPILE_THREADS=THREADS, OMP_NUM_THREADS="1"):
            self.process.start()
        other.close()

    def begin(self, task: Any) -> None:
        self.task, self.since = task, perf_counter()
        self.connection.send(task)

    def outcome(self) -> str | None:
        """Of what it was at, which has ended. A process that died is replaced."""
        self.task = None
        try:
            return self.connection.recv()
        except (EOFError, OSError):
            self.process.join(5)
            said = f"its process died with the status {self.process.exitcode}"
            self.stop()
            self.start()
            return said

    def stop(self) -> None:
        """Whatever it is at."""
        if self.process.is_alive():
            self.process.terminate()
            self.process.join(5)
        if self.process.is_alive():
            self.process.kill()
            self.process.join(5)
        self.connection.close()


def compile_ahead(
    tasks: Iterator[Any],
    device: torch.device,
    *,
    compilers: int,
    enough_time: Callable[[], bool],
    say: Callable[[str], None],
) -> dict[Any, str | None]:
    """Of each task why it failed, or None; those that are not done in time are stopped.

    tasks: asked for the next one whenever a process is free, so that whoever gives them can look at the clock.
    """
    outcomes: dict[Any, str | None] = {}
    pool: list[Compiler] = []
    exhausted = False
    try:
        while True:
            idle = [one for one in pool if one.task is None]
            while not exhausted and (idle or len(pool) < compilers):
                task = next(tasks, None)
                if task is None:
                    exhausted = True
                    break
                if not idle:
                    pool.append(Compiler(device))
                    idle = [pool[-1]]
                idle.pop().begin(task)
            busy = {one.connection: one for one in pool if one.task is not None}
            if not busy:
                return outcomes
            for connection in wait(list(busy), timeout=0.5):
                one = busy[connection]  # pyright: ignore[reportArgumentType]
                task, since = one.task, one.since
                outcomes[task] = one.outcome()
                words = f"compiled in {perf_counter() - since:.0f} s" if outcomes[task] is None else outcomes[task]
                say(f"{task}: {words}")
            late = not enough_time()
            for one in pool:
                if one.task is not None and (late or perf_counter() - one.since > PATIENCE):
                    outcomes[one.task] = "compiling it did not end in time"
                    say(f"{one.task}: {outcomes[one.task]}")
                    one.task = None
                    one.stop()
                    if not late:
                        one.start()
            if late:
                return outcomes
    finally:
        for one in pool:
            one.stop()


def usable(task: Any, outcomes: Mapping[Any, str | None]) -> bool:
    """Whether it is in the caches, or probably is: one that had no memory left to run was compiled before."""
    return outcomes.get(task) is None or OUT_OF_MEMORY in str(outcomes[task])


