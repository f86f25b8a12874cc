"""What goes wrong in a loader's workers, in a sentence."""

import re
from collections.abc import Iterator
from typing import Any

from .reading import UnreadableImage

DEAD = re.compile(r"DataLoader worker \(pid\(?s?\)? ?([\d, ]+)\)")

WORKER = "Caught ValueError in DataLoader worker"


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
        except ValueError as error:
            if not str(error).startswith(WORKER):
                raise
            raise ValueError(last_line(error)) from error
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
