"""Compiling ahead: processes that each compile one thing after another into the caches that they share on disk, so that
the process that measures takes it from there."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib import import_module
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol

import torch

from ..peers import libraries_beside
from .samples import clear_up, one_line

PROGRAM = "import sys; from vit_hf.commands.benchmark.gpu.ahead import serve; serve(*sys.argv[1:])"
THREADS = "2"  # with which a process of these compiles kernels itself
PATIENCE = 240.0  # seconds for one of them
OUT_OF_MEMORY = "OutOfMemoryError"


class Compilable(Protocol):
    """Something that can be sent to another process, and compiles when it runs."""

    @property
    def seconds_to_compile(self) -> float: ...

    def run_once(self, device: torch.device) -> None: ...


@contextmanager
def environment(*kept: str, **variables: str) -> Iterator[None]:
    """Variables set meanwhile, for processes that start. kept: others that are afterwards as they were."""
    before = {name: os.environ.get(name) for name in (*kept, *variables)}
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
        # What transformers' Trainer sets where it compiles, in the words that older compilers still ask for.
        torch.set_float32_matmul_precision("high")
    import torch._functorch.config as autograd
    import torch._inductor.config as inductor

    inductor.fx_graph_cache = True
    autograd.enable_autograd_cache = True
    if hasattr(autograd, "force_non_lazy_backward_lowering"):
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


def serve(descriptor: str, device_name: str, peers: str = "") -> None:
    """What a process does: tasks come in, and of each its error, or None, goes out."""
    import_module("vit_hf.public")  # registers the families
    connection, device = Connection(int(descriptor)), torch.device(device_name)
    share_compiled_code(device)
    torch.set_num_threads(1)
    # Whoever gave the tasks may be gone.
    with libraries_beside(Path(peers) if peers else None), suppress(EOFError, OSError):
        while (task := connection.recv()) is not None:
            connection.send(compile_one(task, device))


@dataclass
class Compiler:
    """One such process, and what it is at."""

    device: torch.device
    peers: Path | None
    task: Any = None
    since: float = 0.0
    process: subprocess.Popen = field(init=False)
    connection: Connection = field(init=False)

    def __post_init__(self):
        self.start()

    def start(self) -> None:
        """A process that imports nothing of this one's main file."""
        self.connection, other = Pipe()
        root = str(Path(__file__).parents[4])  # where the package is
        path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
        variables = {"PYTHONPATH": path, "TORCHINDUCTOR_COMPILE_THREADS": THREADS, "OMP_NUM_THREADS": "1"}
        words = [sys.executable, "-c", PROGRAM, str(other.fileno()), str(self.device)]
        words += [str(self.peers)] if self.peers else []
        self.process = subprocess.Popen(words, env={**os.environ, **variables}, pass_fds=[other.fileno()])
        other.close()

    def begin(self, task: Any) -> None:
        self.task, self.since = task, perf_counter()
        with suppress(OSError):  # of one that died while it waited, the outcome tells
            self.connection.send(task)

    def outcome(self) -> str | None:
        """Of what it was at, which has ended. A process that died is replaced."""
        self.task = None
        try:
            return self.connection.recv()
        except (EOFError, OSError):
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(5)
            said = f"its process died with the status {self.process.poll()}"
            self.restart()
            return said

    def restart(self) -> None:
        self.stop()
        self.start()

    def stop(self) -> None:
        """Whatever it is at."""
        self.connection.close()
        for end in (self.process.terminate, self.process.kill):
            if self.process.poll() is None:
                end()
                with suppress(subprocess.TimeoutExpired):
                    self.process.wait(5)


class Compilers:
    """As many of them as are needed, which stay, so that they are ready for more."""

    def __init__(self, device: torch.device, count: int, peers: Path | None, say: Callable[[str], None]):
        self.device, self.count, self.peers, self.say = device, count, peers, say
        self.pool: list[Compiler] = []

    def __enter__(self) -> "Compilers":
        return self

    def __exit__(self, *error: object) -> None:
        for one in self.pool:
            one.stop()

    def idle(self) -> Compiler | None:
        found = next((one for one in self.pool if one.task is None), None)
        if found is None and len(self.pool) < self.count:
            found = Compiler(self.device, self.peers)
            self.pool.append(found)
        return found

    def compile(
        self, tasks: Iterator[Any], outcomes: dict[Any, str | None], enough_time: Callable[[], bool]
    ) -> list[float]:
        """Write down of each task why it failed, or None; those that do not end in time are stopped.

        tasks: asked for the next one whenever a process is free, so that whoever gives them can look at the clock.
        -> how many times as long as expected each took.
        """
        factors: list[float] = []
        more = True
        while True:
            while more and (one := self.idle()) is not None:
                task = next(tasks, None)
                more = task is not None
                if more:
                    one.begin(task)
            busy: dict[Any, Compiler] = {one.connection: one for one in self.pool if one.task is not None}
            if not busy:
                return factors
            for connection in wait(list(busy), timeout=0.5):
                one = busy[connection]
                task, seconds = one.task, perf_counter() - one.since
                outcomes[task] = one.outcome()
                factors += [seconds / task.seconds_to_compile] * (outcomes[task] is None)
                self.say(f"{task}: {outcomes[task] or f'compiled in {seconds:.0f} s'}")
            late = not enough_time()
            for one in self.pool:
                if one.task is not None and (late or perf_counter() - one.since > PATIENCE):
                    outcomes[one.task] = "compiling it did not end in time"
                    self.say(f"{one.task}: {outcomes[one.task]}")
                    one.task = None
                    one.restart()
            if late:
                return factors


def usable(task: Any, outcomes: Mapping[Any, str | None]) -> bool:
    """Whether it is in the caches, or probably is: one that had no memory left to run was compiled before."""
    return outcomes.get(task) is None or OUT_OF_MEMORY in str(outcomes[task])
