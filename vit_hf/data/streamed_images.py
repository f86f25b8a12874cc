"""Images that are read from a stream while they are trained on: decoded and augmented as they come, and not kept."""

from collections.abc import Sequence
from multiprocessing import Value
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from .clips import ClipPreparation
from .device import DevicePreparation
from .plan import AugmentationPlan
from .preparation import Preparation
from .reading import UnreadableImage
from .tables import StreamedTable


class StreamedImages:
    """Records and the number of their batch -> a raw batch, which `finish` makes pixels of on any device.

    The augmentation of a batch depends on the seed and on its number, which no other batch of a run has.
    """

    def __init__(
        self,
        table: StreamedTable,
        preparation: Preparation | ClipPreparation,
        *,
        plan: AugmentationPlan,
        classes: int,
        on_error: Literal["fail", "skip"] = "fail",
        seed: int = 0,
    ):
        self.table = table
        self.preparation = preparation
        self.plan = plan
        self.on_error = on_error
        self.seed = seed
        self.finish = DevicePreparation(preparation, plan, classes=classes)
        self.counter = Value("q", 0)  # of all workers

    @property
    def skipped(self) -> int:
        """Images that could not be read, and of which others took the places."""
        return self.counter.value

    def __call__(self, records: Sequence[Any], number: int) -> dict[str, Any]:
        numbers = self.plan.numbers(self.seed, number, np.arange(len(records))) if self.plan.draws else None
        read = [
            self.readable(records, place, None if numbers is None else numbers[place]) for place in range(len(records))
        ]
        batch: dict[str, Any] = {"pixel_values": torch.stack([pixels for pixels, _ in read])}
        batch["labels"] = torch.tensor([self.table.label_of(record) for _, record in read])
        if numbers is not None:
            batch["numbers"] = numbers
        if self.table.check_finite:
            batch["names"] = [self.table.name(record) for _, record in read]
        return batch

    def readable(self, records: Sequence[Any], place: int, numbers: np.ndarray | None) -> tuple[Tensor, Any]:
        """This record's image; or, where broken ones are skipped, that of the next of the batch that can be read."""
        for record in [*records[place:], *records[:place]]:
            try:
                pixels = self.preparation.pixels(self.table.picture(record), self.plan.drawn(numbers))
            except UnreadableImage:
                if self.on_error == "fail":
                    raise
                continue
            if record is not records[place]:
                with self.counter.get_lock():
                    self.counter.value += 1
            return pixels, record
        raise UnreadableImage(f"Not one of the {len(records)} images of a batch can be read.")
