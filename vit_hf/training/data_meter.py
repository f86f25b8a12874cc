"""How much of a step's time is spent waiting for data."""

import time
from collections.abc import Callable, Iterator
from typing import Any

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
