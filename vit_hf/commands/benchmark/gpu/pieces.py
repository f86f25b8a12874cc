"""The pieces of the benchmark in the order of their importance, and which of them there is time for."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import torch

from ..measure import Mode
from .feeds import Amounts, data_rows
from .models import measure_variants, variants_of
from .samples import ceilings, one_line
from .sizes import Workload
from .trainers import TITLES, Kind, Training

MAIN = 3  # sizes that are measured before the trainings
# Seconds that it takes to build, warm up and time one of them, compiled code being in the caches.
EAGER, COMPILED, TRAINED, FED, LOADED, CEILINGS = 1.5, 5.0, 10.0, 22.0, 20.0, 6.0
ENDING = 5.0  # seconds that are kept for the end
TASKS_A_ROUND = 2  # of each process that compiles


class Deadline:
    """How much of the time is used up."""

    def __init__(self, minutes: float, now: Callable[[], float] = perf_counter):
        self.seconds = 60 * minutes
        self.now = now
        self.start = now()

    @property
    def passed(self) -> float:
        return self.now() - self.start

    @property
    def left(self) -> float:
        return self.seconds - ENDING - self.passed

    def say(self, words: str) -> None:
        print(f"[{self.passed:4.0f} s] {words}", flush=True)


@dataclass(frozen=True)
class Conduct:
    """How everything is measured. tiny: on a CPU, at once."""

    device: torch.device
    compile: bool
    rounds: int
    at_least: float  # seconds of a sample
    amounts: Amounts
    product: int  # the side of the matrices of the ceiling
    copy: int  # bytes
    photos: Path  # a folder of JPEGs
    profiles: Path | None = None  # a folder for tables of what takes time in trainings


@dataclass
class Findings:
    """What later pieces need of earlier ones. failed: of what was compiled ahead why it failed, if it did."""

    failed: dict[Any, str | None]
    product_rate: float | None = None


@dataclass(frozen=True, eq=False)
class Piece:
    """seconds: that measuring it takes about. ahead: what it needs compiled."""

    name: str
    part: str
    seconds: float
    ahead: Sequence[Any]
    about: dict[str, Any]
    run: Callable[[Findings], dict[str, Any]]


def model_piece(conduct: Conduct, workload: Workload, mode: Mode, batch: int, part: str) -> Piece:
    variants = variants_of(workload, mode, batch, compiling=conduct.compile)
    compiled = [variant for variant in variants if variant.how != "eager"]

    def run(found: Findings) -> dict[str, Any]:
        return measure_variants(
            variants,
            conduct.device,
            rounds=conduct.rounds,
            at_least=conduct.at_least,
            product_rate=found.product_rate,
            failed=found.failed,
        )

    about = {"size": workload.name, "mode": mode, "batch": batch, "unit": workload.unit}
    seconds = EAGER * (len(variants) - len(compiled)) + COMPILED * len(compiled)
    return Piece(f"{part}: {workload.name}, batch {batch}", part, seconds, compiled, about, run)


def trainer_piece(conduct: Conduct, workload: Workload, kinds: Sequence[Kind], title: str) -> Piece:
    amounts = conduct.amounts.with_loaders() if "photos" in kinds else conduct.amounts
    trainings = [Training(kind, workload, amounts, conduct.compile) for kind in kinds]

    def run(found: Findings) -> dict[str, Any]:
        return {"rows": [trainer_row(training, conduct, found) for training in trainings]}

    ahead = list(dict.fromkeys(training.compiled_as for training in trainings)) if conduct.compile else []
    about = {"size": workload.name, "batch": amounts.batch, "steps": amounts.steps}
    seconds = len(kinds) * (FED if "photos" in kinds else TRAINED)
    return Piece(f"trainer: {workload.name}, {title}", "trainer", seconds, ahead, about, run)


def trainer_row(training: Training, conduct: Conduct, found: Findings) -> dict[str, Any]:
    row: dict[str, Any] = {"kind": training.kind, "title": TITLES[training.kind]}
    if (why := found.failed.get(training.compiled_as)) is not None:
        return {**row, "error": f"compiling failed: {why}"}
    try:
        speed = training.images_per_second(conduct.device, conduct.photos, conduct.profiles)
        return {**row, "images_per_second": speed}
    except Exception as error:  # noqa: BLE001
        return {**row, "error": one_line(error)}


def ceilings_piece(conduct: Conduct) -> Piece:
    def run(found: Findings) -> dict[str, Any]:
        rates = ceilings(
            conduct.device,
            side=conduct.product,
            size=conduct.copy,
            rounds=conduct.rounds,
            at_least=2 * conduct.at_least,
        )
        found.product_rate = rates["product"].median
        return {name: asdict(rate) for name, rate in rates.items()}

    return Piece("ceilings", "ceilings", CEILINGS, [], {"side": conduct.product, "bytes": conduct.copy}, run)


def data_piece(conduct: Conduct) -> Piece:
    def run(found: Findings) -> dict[str, Any]:
        return {"rows": data_rows(conduct.photos, conduct.amounts, pinned=conduct.device.type == "cuda")}

    height, width = conduct.amounts.photo
    about = {"workers": conduct.amounts.workers, "photo": f"{width} x {height}", "side": conduct.amounts.side}
    return Piece("data", "data", LOADED, [], about, run)


def in_order(conduct: Conduct, workloads: Sequence[Workload], trained: Sequence[Workload]) -> list[Piece]:
    """trained: the sizes of the trainings with a Trainer, all of the pieces with the first and the light one with
    others."""

    def both(workload: Workload) -> list[Piece]:
        return [
            model_piece(conduct, workload, "inference", workload.compared, "inference"),
            model_piece(conduct, workload, "training", workload.training, "training"),
        ]

    def latency(workload: Workload) -> Piece:
        return model_piece(conduct, workload, "inference", 1, "latency")

    first, others = workloads[:MAIN], workloads[MAIN:]
    pieces = [ceilings_piece(conduct)]
    for workload in first:
        pieces += both(workload)
    pieces += [trainer_piece(conduct, one, ["bare", "light", "bare"], "bytes on the device") for one in trained[:1]]
    pieces += [latency(one) for one in first[:1]]
    pieces += [trainer_piece(conduct, one, ["photos", "transformers"], "JPEGs") for one in trained[:1]]
    pieces.append(data_piece(conduct))
    for workload in others:
        pieces += both(workload)
    pieces += [latency(one) for one in workloads[1:]]
    pieces += [trainer_piece(conduct, one, ["heavy"], "RandAugment too") for one in trained[:1]]
    pieces += [trainer_piece(conduct, one, ["bare", "light", "bare"], "bytes on the device") for one in trained[1:]]
    for workload in workloads:
        pieces += [
            model_piece(conduct, workload, "inference", batch, "inference")
            for batch in workload.batches
            if batch != workload.compared
        ]
    return pieces


class Admission:
    """Which pieces there is time for, decided whenever a process is free to compile for the next one.

    It goes in rounds: some pieces are compiled for and then measured, and what they taught of the times that things
    take decides about the next.
    """

    def __init__(self, pieces: Sequence[Piece], clock: Deadline, compilers: int):
        self.waiting, self.clock, self.compilers = list(pieces), clock, compilers
        self.taken: list[Piece] = []
        self.outcomes: dict[Any, str | None] = {}  # of all that was compiled
        self.compiling = 1.0  # how many times as long as expected that takes
        self.expected = self.measured = 0.0

    def seconds_of(self, piece: Piece) -> float:
        """By what others took."""
        known = self.measured / self.expected if self.expected else 1.0
        return piece.seconds * max(0.4, known)

    @property
    def promised(self) -> float:
        """Seconds of measuring what was taken."""
        return sum(map(self.seconds_of, self.taken))

    def tasks(self) -> Iterator[Any]:
        """What has to be compiled for a round, in order, each thing once. A piece for which there is no time is passed
        over, and waits."""
        begun: set[Any] = set()
        for piece in list(self.waiting):
            if len(begun) >= TASKS_A_ROUND * self.compilers:
                return
            new = [task for task in dict.fromkeys(piece.ahead) if task not in self.outcomes and task not in begun]
            # All of a piece's at the same time, as far as there are processes.
            turns = -(-len(new) // self.compilers)
            compiling = turns * max((task.seconds_to_compile for task in new), default=0.0) * self.compiling
            if self.promised + self.seconds_of(piece) + compiling <= self.clock.left:
                self.taken.append(piece)
                self.waiting.remove(piece)
                begun.update(new)
                yield from new

    def learn_of_compiling(self, factors: Sequence[float]) -> None:
        self.compiling = median(factors) if factors else self.compiling

    def to_measure(self) -> Iterator[Piece]:
        """Those taken whose time has come; one that would not end any more is dropped."""
        while self.taken:
            piece = self.taken.pop(0)
            if self.seconds_of(piece) > self.clock.left:
                self.waiting.append(piece)
                continue
            start = self.clock.passed
            yield piece
            self.expected += piece.seconds
            self.measured += self.clock.passed - start

    def enough_time(self) -> bool:
        """Whether what was taken can still be measured after waiting a little more."""
        return self.promised < self.clock.left
