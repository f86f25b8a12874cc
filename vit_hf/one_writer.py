"""One run at a time in an output folder: a lock that a dead process leaves behind harmlessly, and its owner's name.

The lock is the operating system's, and goes with its process. Some network file systems have none, or one that another
machine does not see; there the record decides, which a live process renews every few seconds.
"""

import json
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from inspect import signature
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from .errors import UserError

RECORD_BYTES = 400
LOCK, HOLDER = ".lock", ".writer.json"
BEAT = 5.0  # seconds between signs of life
SILENCE = 3 * BEAT  # without a sign of life a process of another machine is taken for dead
RANKS = ("RANK", "PMI_RANK", "OMPI_COMM_WORLD_RANK", "MV2_COMM_WORLD_RANK")  # as Accelerate reads them

held: dict[Path, int] = {}  # by this process, and how often


def is_first_process() -> bool:
    """Of a distributed run, before its processes know each other; it holds the lock for all of them."""
    return next((int(os.environ[name]) for name in RANKS if os.environ.get(name, "").isdigit()), 0) == 0


@contextmanager
def one_writer(folder: Path) -> Iterator[None]:
    """Within the block no other process writes into the folder; the same one may enter again.

    Raises: UserError that names the machine and the process that writes there, before anything is changed.
    """
    place = folder.resolve()
    if place in held:
        held[place] += 1
        try:
            yield
        finally:
            held[place] -= 1
        return
    with ExitStack() as stack:
        place.mkdir(parents=True, exist_ok=True)
        take(place, folder, stack)
        held[place] = 1
        stack.callback(held.pop, place)
        stack.enter_context(beating(place / HOLDER))
        yield


def refuse_live_run(folder: Path) -> None:
    """Raises: UserError as `one_writer`, and makes nothing where there is no folder yet."""
    if (folder / LOCK).exists():
        with one_writer(folder):
            pass


def take(place: Path, folder: Path, stack: ExitStack) -> None:
    """Take the lock; a record of another machine is watched for a while, and so is what a dead process left running."""
    end, first, locked = time.monotonic() + SILENCE, read_holder(place), None
    while True:
        locked = True if locked is True else try_lock(place / LOCK, stack)
        holder = read_holder(place)
        verdict = judge(locked, holder, first)
        if verdict == "wait" and time.monotonic() > end:
            verdict = "theirs" if locked is False else "ours"
        if verdict == "theirs":
            raise UserError(sentence_about(holder, folder))
        if verdict == "ours":
            return
        time.sleep(BEAT / 5)


def judge(
    locked: bool | None, holder: dict[str, Any] | None, first: dict[str, Any] | None
) -> Literal["ours", "theirs", "wait"]:
    """Whose the folder is.

    locked: whether the lock is ours; None where there are none. holder: who is on record now. first: and who was when
    we first looked.
    """
    if holder is None:
        return "theirs" if locked is False else "ours"
    if holder["host"] == socket.gethostname():
        if locked is True:
            return "ours"
        if is_alive(holder["process"]):
            return "theirs"
        return "wait" if locked is False else "ours"
    if locked is False or (first is not None and first != holder):
        return "theirs"
    return "wait"


def try_lock(path: Path, stack: ExitStack) -> bool | None:
    """Whether it is ours now; None where the file system knows no locks."""
    # Newer versions would put a file there instead, which stays when its process dies.
    options: dict[str, Any] = (
        {"fallback_to_soft": False} if "fallback_to_soft" in signature(FileLock).parameters else {}
    )
    lock = FileLock(path, **options)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return False
    except (NotImplementedError, OSError):
        return None
    stack.callback(lock.release)
    return True


@contextmanager
def beating(path: Path) -> Iterator[None]:
    """The record of this process, renewed while the block lasts and gone after it."""
    over, since, process = threading.Event(), time.strftime("%Y-%m-%d %H:%M:%S"), os.getpid()

    def beat(number: int) -> None:
        with suppress(OSError):  # a full disk is told by those who write more
            record = {"host": socket.gethostname(), "process": process, "since": since, "beat": number}
            write_at_once(path, json.dumps(record))

    def go_on() -> None:
        number = 1
        while not over.wait(BEAT):
            number += 1
            beat(number)

    beat(1)
    thread = threading.Thread(target=go_on, name="one writer", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        path.unlink(missing_ok=True)


def write_at_once(path: Path, text: str) -> None:
    """Over what was there: whoever reads finds the old or the new, and never nothing."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
    try:
        os.write(handle, text.ljust(RECORD_BYTES).encode())
    finally:
        os.close(handle)


def read_holder(place: Path) -> dict[str, Any] | None:
    """None where nobody wrote one, or it is being written."""
    try:
        found = json.loads((place / HOLDER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and {"host", "process", "since", "beat"} <= found.keys() else None


def is_alive(process: int) -> bool:
    """Of this machine. Where that cannot be asked, it is taken to be."""
    if sys.platform == "win32":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def sentence_about(holder: dict[str, Any] | None, folder: Path) -> str:
    who = "Another run" if holder is None else f"Process {holder['process']} on {holder['host']}"
    since = "" if holder is None else f", since {holder['since']}"
    return (
        f"{who} is writing into {folder}{since}. Wait for its end, stop it, or choose another --training.output_dir; "
        "nothing was changed."
    )
