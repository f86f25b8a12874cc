"""Times of calls on a GPU, by events around many of them, and the two rates that bound them all."""

import gc
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median, quantiles
from time import perf_counter

import torch

from ..loops import Turn, take_turns
from ..timing import Seconds
from ..workloads import Call

WARM_CALLS = 4  # a CUDA graph is recorded at the second, and replayed from the third on


@dataclass(frozen=True)
class Spread:
    """Median and quartiles."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Seconds) -> "Spread":
        low, _, high = quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
        return cls(median(values), low, high)


def seconds_a_call(call: Call, count: int, device: torch.device) -> float:
    """Of `count` calls in a row, in which nobody waits for the device until the end."""
    if device.type != "cuda":
        start = perf_counter()
        for _ in range(count):
            call()
        return (perf_counter() - start) / count
    first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    first.record()
    for _ in range(count):
        call()
    last.record()
    last.synchronize()
    return first.elapsed_time(last) / 1000 / count


def warm(call: Call, device: torch.device) -> None:
    for _ in range(WARM_CALLS):
        call()
    wait_for(device)


def sampled(call: Call, device: torch.device, at_least: float) -> Turn:
    """A warm call -> samples of it, each of at least so many seconds; a sample is the seconds of one call."""
    count = max(1, math.ceil(at_least / max(seconds_a_call(call, 3, device), 1e-7)))
    return lambda: seconds_a_call(call, count, device)


def in_turns(calls: Mapping[str, Call], device: torch.device, *, rounds: int, at_least: float) -> dict[str, Seconds]:
    """The seconds of each call in each round, in which everyone takes a turn."""
    return take_turns({name: sampled(call, device, at_least) for name, call in calls.items()}, rounds)


def wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def clear_up(device: torch.device) -> None:
    """Give back what nobody holds any more, compiled code and its recordings included."""
    import torch._dynamo

    torch._dynamo.reset()
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def product_call(side: int, device: torch.device) -> Call:
    """A square matrix product in bfloat16, of random numbers."""
    left, right = (torch.randn(side, side, device=device).to(torch.bfloat16) for _ in range(2))
    into = torch.empty_like(left)

    def call() -> None:
        torch.mm(left, right, out=into)

    return call


def copy_call(size: int, device: torch.device) -> Call:
    """So many bytes read, and as many written, on the device."""
    source = torch.randint(256, (size,), dtype=torch.uint8, device=device)
    into = torch.empty_like(source)

    def call() -> None:
        into.copy_(source)

    return call


def ceilings(device: torch.device, *, side: int, size: int, rounds: int, at_least: float) -> dict[str, Spread]:
    """-> operations a second of matrix products, and bytes a second, read and written, of copies"""
    calls: dict[str, Call] = {"product": product_call(side, device), "copy": copy_call(size, device)}
    work = {"product": 2 * side**3, "copy": 2 * size}
    for call in calls.values():
        warm(call, device)
    seconds = in_turns(calls, device, rounds=rounds, at_least=at_least)
    return {name: Spread.of([work[name] / one for one in own]) for name, own in seconds.items()}


def one_line(error: BaseException) -> str:
    """What happened, without the frames."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {' '.join(lines[:2])[:300]}"


def guarded_piece(work: Callable[[], dict]) -> dict:
    """What it measures, or the error that stopped it: the time is lent, and others still have to be measured."""
    try:
        return work()
    except Exception as error:  # noqa: BLE001
        return {"error": one_line(error)}
