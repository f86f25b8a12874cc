"""Times that can be compared on a busy machine: everyone takes a turn in every round, and rounds are compared."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median, quantiles

import torch

Seconds = list[float]


@contextmanager
def threads(count: int | None) -> Iterator[int]:
    """Let torch compute with `count` threads on the CPU meanwhile, or with as many as it does now; gives the number."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield torch.get_num_threads()
    finally:
        torch.set_num_threads(before)


def interleave(
    calls: Mapping[str, Callable[[], object]],
    rounds: int,
    *,
    clock: Callable[[], float] = time.perf_counter,
    warm_up: int = 2,
) -> dict[str, Seconds]:
    """The seconds of each call in each round. The order turns by one from round to round, so nobody is always first.

    A call has to wait for its own work: on a GPU it ends with a synchronization.
    """
    names = list(calls)
    for name in names * warm_up:
        calls[name]()
    seconds: dict[str, Seconds] = {name: [] for name in names}
    for turn in range(rounds):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            start = clock()
            calls[name]()
            seconds[name].append(clock() - start)
    return seconds


@dataclass(frozen=True)
class Ratio:
    """How many times as fast as another: the median over the rounds, and the quartiles around it."""

    median: float
    low: float
    high: float


def speed_ratio(ours: Seconds, theirs: Seconds) -> Ratio:
    """Of two that ran in the same rounds; above 1 where `ours` took less time."""
    ratios = [their / our for our, their in zip(ours, theirs, strict=True)]
    low, _, high = quantiles(ratios, n=4, method="inclusive") if len(ratios) > 1 else ratios * 3
    return Ratio(median(ratios), low, high)
