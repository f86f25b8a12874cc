"""Read every image once, before anything is trained: no surprise after three hours."""

import os
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any

import numpy as np
from tqdm import tqdm

from ...errors import UserError
from ..decode.images import Picture, UnreadableImage
from ..sources.tables import ImageTable

FILES_NAMED = 10  # bad files that a message names; the others are counted


def read_in_order(read: Callable[[int], Any], count: int) -> Iterator[Any]:
    """read(0), read(1), ...: by several threads, as Pillow decodes without holding the interpreter's lock."""
    workers = min(16, os.cpu_count() or 1)
    with ThreadPoolExecutor(workers) as pool:
        indices = iter(range(count))
        waiting = [pool.submit(read, index) for index in islice(indices, 16 * workers)]
        for index in range(count):
            yield waiting[index % len(waiting)].result()
            if (following := next(indices, None)) is not None:
                waiting[index % len(waiting)] = pool.submit(read, following)


def read_each(table: ImageTable, prepare: Callable[[Picture], Any], doing: str) -> Iterator[tuple[Any, str | None]]:
    """For each image what `prepare` makes of it, or None and a line that says why it cannot be read."""

    def read(index: int) -> tuple[Any, str | None]:
        try:
            return prepare(table.open(index)), None
        except UnreadableImage as error:
            return None, str(error)

    reading = read_in_order(read, len(table))
    yield from tqdm(reading, total=len(table), desc=doing, unit=f" {table.modality.plural}", leave=False, disable=None)


def describe_unreadable(lines: list[str], total: int, plural: str = "images") -> str:
    """How many images or videos cannot be read, and the first of them by name."""
    named = "".join(f"\n  {line}" for line in lines[:FILES_NAMED])
    more = f"\n  and {len(lines) - FILES_NAMED} more" if len(lines) > FILES_NAMED else ""
    return f"{len(lines)} of {total} {plural} cannot be read:{named}{more}"


def keep_readable(table: ImageTable, kept: np.ndarray, lines: list[str], on_error: str) -> ImageTable:
    """The images that could be read (their rows are `kept`): all of them, or the rest where `on_error` is skip."""
    if not lines:
        return table
    message = describe_unreadable(lines, len(table), table.modality.plural)
    if on_error == "fail":
        raise UnreadableImage(f"{message}\nRepair or remove them, or leave them out with --data.on_error skip.")
    print(f"{message}\nThey are left out.", flush=True)
    if not len(kept):
        raise UnreadableImage("Not one image can be read.")
    return table.select(kept)


DEAD = re.compile(r"DataLoader worker \(pid\(?s?\)? ?([\d, ]+)\)")

WORKER = "Caught UserError in DataLoader worker"


class DeadWorker(OSError):
    """A process that loads images is gone."""


def in_sentences(batches: Iterator[Any]) -> Iterator[Any]:
    """The same batches; a broken image or a dead process is told without the frames of another process."""
    while True:
        try:
            batch = next(batches)
        except StopIteration:
            return
        except UnreadableImage as error:
            raise UnreadableImage(f"{last_line(error)} Train without broken images: --data.on_error skip.") from error
        except UserError as error:
            if not str(error).startswith(WORKER):
                raise
            raise UserError(last_line(error)) from error
        except RuntimeError as error:
            if (found := DEAD.search(str(error))) is None:
                raise
            raise DeadWorker(
                f"A process that loads images died (pid {found[1]}): it was killed, or the machine ran out of memory. "
                "Begin again with fewer of them (--training.dataloader_num_workers), or with smaller batches."
            ) from error
        yield batch


def last_line(error: Exception) -> str:
    """Without the frames that torch puts before what a worker raised."""
    line = str(error).strip().splitlines()[-1]
    return line.partition(f"{type(error).__name__}: ")[2] or line
