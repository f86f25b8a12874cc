"""Images a second, the share of the machine's arithmetic that they use, and memory at its fullest."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from statistics import median
from typing import Any

import torch
import transformers

from ..families import family_of_model
from .costs import peak_memory, product_rate, training_operations


def product_dtype(arguments: transformers.TrainingArguments) -> torch.dtype:
    """Of the matrix products in a step."""
    if arguments.bf16:
        return torch.bfloat16
    return torch.float16 if arguments.fp16 else torch.float32


class Speedometer:
    """Counts images between two logs. Waiting for data is part of the time; evaluation is not.

    mfu: the arithmetic done, over what matrix products alone do on the same device, measured once (1.0 is the most).
    """

    def __init__(self, model: Any, arguments: transformers.TrainingArguments):
        self.model = model
        self.arguments = arguments
        self.images = 0
        self.since: float | None = None
        self.away = 0.0
        self.logged: list[dict[str, float]] = []

    @cached_property
    def operations(self) -> int | None:
        """Of one image; None for a model of no family that is known here."""
        return training_operations(self.model) if family_of_model(self.model) else None

    @cached_property
    def rate(self) -> float:
        return product_rate(self.arguments.device, product_dtype(self.arguments))

    def start(self) -> None:
        if self.since is None:
            self.since = time.perf_counter()

    @contextmanager
    def paused(self) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.away += time.perf_counter() - start

    def figures(self) -> dict[str, float]:
        """Since the last call, over all processes."""
        if self.since is None or not self.images:
            return {}
        now = time.perf_counter()
        processes = self.arguments.world_size
        rate = self.images * processes / max(now - self.since - self.away, 1e-9)
        figures = {"images_per_second": round(rate, 2)}
        if self.operations is not None:
            # To significant digits, because a tiny model uses less than a ten-thousandth of a machine.
            figures["mfu"] = float(f"{rate * self.operations / (self.rate * processes):.3g}")
        figures["peak_memory_gib"] = round(peak_memory(self.arguments.device) / 2**30, 3)
        self.logged.append(figures)
        self.images, self.away, self.since = 0, 0.0, time.perf_counter()
        return figures

    def summary(self) -> dict[str, float]:
        """The median over the logs, and the most memory; empty before the first log."""
        if not self.logged:
            return {}
        names = [name for name in ("images_per_second", "mfu") if name in self.logged[0]]
        middle = {name: median(figures[name] for figures in self.logged) for name in names}
        return {**middle, "peak_memory_gib": max(figures["peak_memory_gib"] for figures in self.logged)}


ACCEPTABLE = 0.1  # share of the time, above which advice is given
ENOUGH = 20  # steps, before which a share says little


class DataMeter:
    """The share of the time in which the next batch was waited for, since it was last asked.

    The time of an evaluation in between counts for nothing; see `pause`.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter):
        self.clock = clock
        self.since: float | None = None
        self.waited = 0.0
        self.passed = 0.0
        self.batches = 0
        self.advised = False

    def watch(self, batches: Iterator[Any]) -> Iterator[Any]:
        """The same batches, with the time that each takes to come."""
        while True:
            start = self.clock()
            if self.since is not None:
                self.passed += start - self.since
            try:
                batch = next(batches)
            except StopIteration:
                self.since = None
                return
            self.since = self.clock()
            self.waited += self.since - start
            self.batches += 1
            yield batch

    def pause(self) -> None:
        """What comes now until the next batch is no step."""
        if self.since is not None:
            self.passed += self.clock() - self.since
            self.since = None

    def share(self) -> float | None:
        """Of the time since the last call; None where no batch came."""
        now = self.clock()
        if self.since is not None:
            self.passed += now - self.since
            self.since = now
        whole = self.waited + self.passed
        share = self.waited / whole if whole > 0 else None
        self.waited = self.passed = 0.0
        return share

    def advice(self, share: float | None, workers: int, *, streamed: bool = False) -> str | None:
        """A sentence, once, where a model waits for data. What is streamed cannot be kept."""
        if self.advised or share is None or share <= ACCEPTABLE or self.batches < ENOUGH:
            return None
        self.advised = True
        more = f"--training.dataloader_num_workers {max(2, 2 * workers)}"
        other = (
            "each of them needs a file of the data set to itself. Smaller images, saved once, load faster than a "
            "stream of large ones."
            if streamed
            else "images that are decoded once load faster: --data.cache true, or --data.keep_in_memory true."
        )
        return f"The model waited for data {share:.0%} of the time. More processes load more ({more}); {other}"
