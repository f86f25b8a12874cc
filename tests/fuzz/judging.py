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
Checks = Callable[[str], str | None]  # a sentence -> what is wrong with it, or None


class Verdict(NamedTuple):
    """said: the sentence, or "" where it was taken. fault: what is wrong with that; None where nothing is."""

    kind: str
    seed: int
    said: str
    fault: str | None
    seconds: float = 0.0
    memory: float = 0.0

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


def judge(kind: str, seed: int, attempt: Callable[[], str | None], check: Checks = lambda said: None) -> Verdict:
    """attempt: -> what is wrong with what was taken, or None. check: of the sentence with which it was refused."""
    began, before = perf_counter(), peak()
    said, fault = "", None
    try:
        with limited():
            fault = attempt()
    except EXPECTED as error:
        said = str(error)
        fault = fault_of_sentence(said) or check(said)
    except TooLong:
        fault = f"took over {SECONDS} s"
    except (Exception, RecursionError) as error:  # noqa: BLE001 - each is a finding
        where = [frame for frame in traceback.extract_tb(error.__traceback__) if "vit_hf" in frame.filename]
        place = f"{Path(where[-1].filename).name}:{where[-1].lineno}" if where else "elsewhere"
        fault = f"{type(error).__name__} at {place}: {str(error)[:200]}"
    seconds = perf_counter() - began
    if fault is None and peak() > max(BYTES, before):
        fault = f"took {peak() / 1e9:.1f} GB of memory"
    return Verdict(kind, seed, said, fault or too_much(seconds), seconds, peak())


def too_much(seconds: float, memory: float = 0) -> str | None:
    if seconds > SECONDS:
        return f"took {seconds:.0f} s"
    return f"took {memory / 1e9:.1f} GB of memory" if memory > BYTES else None


def fault_of_sentence(said: str) -> str | None:
    if len(said) < 20:
        return f"says hardly anything: {said!r}"
    if said.count("\n") > 20 or len(said) > 5000:
        return f"is no sentence, but {len(said)} letters: {said[:200]!r}"
    if "Traceback" in said:
        return f"is a traceback: {said[-300:]!r}"
    return None
