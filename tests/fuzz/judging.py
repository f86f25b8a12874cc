"""One case, and what it has to hold: an answer, or a sentence that says what it is about, in time and in memory."""

import resource
import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

from vit_hf.commands.cli import EXPECTED

SECONDS, BYTES = 20, 2e9
UNSAID = ("object is not", "has no attribute", "not supported between", "unhashable", "Traceback", "<class")


class Verdict(NamedTuple):
    """said: the sentence, or "" where it was taken. fault: what is wrong with that; None where nothing is."""

    kind: str
    seed: int
    said: str
    fault: str | None

    def __str__(self) -> str:
        return f"{self.kind} {self.seed}: {self.fault or self.said or 'taken'}"


class TooLong(BaseException):
    """Not to be taken for an error of a file, as TimeoutError is."""


@contextmanager
def limited() -> Iterator[None]:
    def late(number: int, frame: Any) -> None:
        raise TooLong

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def peak() -> float:
    """Bytes, of the whole life of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0


def judge(kind: str, seed: int, about: list[str], attempt: Callable[[], str | None]) -> Verdict:
    """about: words of which a sentence has one. attempt: -> what is wrong with what was taken, or None"""
    began, before = perf_counter(), peak()
    said, fault = "", None
    try:
        with limited():
            fault = attempt()
    except EXPECTED as error:
        said = str(error)
        fault = fault_of_sentence(said, about)
    except TooLong:
        fault = f"took over {SECONDS} s"
    except (Exception, RecursionError) as error:  # noqa: BLE001 - each is a finding
        where = [frame for frame in traceback.extract_tb(error.__traceback__) if "vit_hf" in frame.filename]
        place = f"{Path(where[-1].filename).name}:{where[-1].lineno}" if where else "elsewhere"
        fault = f"{type(error).__name__} at {place}: {str(error)[:200]}"
    if fault is None and peak() > max(BYTES, before):
        fault = f"took {peak() / 1e9:.1f} GB of memory"
    if fault is None and perf_counter() - began > SECONDS:
        fault = f"took {perf_counter() - began:.0f} s"
    return Verdict(kind, seed, said, fault)


def fault_of_sentence(said: str, about: list[str]) -> str | None:
    if len(said) < 20:
        return f"says hardly anything: {said!r}"
    if not any(word in said for word in about):
        return f"names nothing that it is about ({about}): {said[:300]!r}"
    if said.count("\n") > 20 or len(said) > 5000:
        return f"is no sentence, but {len(said)} letters: {said[:200]!r}"
    return None
