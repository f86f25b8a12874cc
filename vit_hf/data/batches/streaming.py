"""Data sets that are read while they train: in shards, over processes and workers, from any position on.

A lane is one reader: each worker of each process is one. It takes its share of the shards, in an order of (seed,
epoch), and shuffles within blocks of records, so that its position is a few numbers and not a buffer full of images.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from multiprocessing import Value
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info
from torch.utils.data._utils import worker as this_worker

from ...errors import UserError
from ..augment.plan import AugmentationPlan
from ..augment.random_numbers import uniform
from ..decode.files import UnreadableImage
from ..decode.preparation import ClipPreparation, Preparation
from ..sources.tables import Shards, StreamedTable
from .device import DevicePreparation

SHARD_ORDER, BLOCK_ORDER = 0x736861726473, 0x626C6F636B73  # streams of random numbers that nothing else draws from

Batch = dict[str, Tensor]


def shuffled(count: int, seed: int, epoch: int) -> list[int]:
    return np.argsort(uniform(seed, epoch, np.arange(count), 1)[:, 0], kind="stable").tolist()


class StreamedBatches(IterableDataset):
    """Endless batches, epoch after epoch, of one process: (lane, the lane's position behind the batch, the batch).

    `prepare(records, number)` makes a batch of records; the number is another for every batch of the run, for
    augmentation to depend on. What is left of a shard after its last full batch waits for another epoch, which
    shuffles otherwise. Raises: UserError where there are fewer shards than lanes.
    """

    def __init__(
        self,
        shards: Shards,
        prepare: Any,  # a Callable[[Sequence[Any], int], Batch], perhaps one that counts or finishes
        *,
        batch: int,
        seed: int = 0,
        block: int = 1024,
        process: int = 0,
        processes: int = 1,
        workers: int = 0,
    ):
        self.shards = shards
        self.prepare = prepare
        self.batch = batch
        self.seed = seed
        self.block = max(block, batch) // batch * batch
        self.lanes = max(workers, 1)
        self.first_lane = process * self.lanes
        self.all_lanes = processes * self.lanes
        if shards.num_shards < self.all_lanes:
            raise UserError(
                f"{processes} processes with {self.lanes} readers each need {self.all_lanes} shards, and the data set "
                f"has {shards.num_shards}; lower training.dataloader_num_workers, or save the data in more files."
            )
        self.positions: list[dict[str, Any] | None] = [None] * self.lanes
        self.turn = 0  # the lane that gives the next batch

    def __iter__(self) -> Iterator[tuple[int, dict[str, Any], Batch]]:
        worker = get_worker_info()
        # The datasets library would share out among the workers once more what each lane has to itself.
        this_worker._worker_info = None
        # The loader asks worker 0, 1, ... in turn, whatever lane's turn it is.
        mine = (self.turn + (worker.id if worker else 0)) % self.lanes
        for position, batch in self.read(mine, self.positions[mine]):
            yield mine, position, batch

    def read(self, lane: int, position: dict[str, Any] | None) -> Iterator[tuple[dict[str, Any], Batch]]:
        position = position or {"epoch": 0, "shard": 0, "block": 0, "used": 0, "source": None}
        while True:
            order = shuffled(self.shards.num_shards, self.seed ^ SHARD_ORDER, position["epoch"])
            own = order[self.first_lane + lane :: self.all_lanes]
            batches = position["shard"] + position["used"]  # of this epoch, or a sign that there were some
            for number in range(position["shard"], len(own)):
                for behind, batch in self.read_shard(own[number], {**position, "shard": number}):
                    batches += 1
                    yield behind, batch
                position = {**position, "block": 0, "used": 0, "source": None}
            if not batches:
                raise UserError(f"No shard of reader {lane} holds {self.batch} records, which a batch takes.")
            position = {**position, "epoch": position["epoch"] + 1, "shard": 0}

    def read_shard(self, shard: int, position: dict[str, Any]) -> Iterator[tuple[dict[str, Any], Batch]]:
        source = self.shards.shard(num_shards=self.shards.num_shards, index=shard)
        if position["source"] is not None:
            source.load_state_dict(position["source"])
        records, epoch, used = iter(source), position["epoch"], position["used"]
        for number in range(position["block"], 2**20):
            before = source.state_dict()
            block = list(islice(records, self.block))
            once = (epoch * self.shards.num_shards + shard) * 2**20 + number  # like no other block
            order = shuffled(len(block), self.seed ^ BLOCK_ORDER, once)
            for start in range(used, len(block) - self.batch + 1, self.batch):
                chosen = [block[index] for index in order[start : start + self.batch]]
                behind = {"block": number, "used": start + self.batch, "source": before}
                yield (
                    {**position, **behind},
                    self.prepare(chosen, once * (self.block // self.batch) + start // self.batch),
                )
            used = 0
            if len(block) < self.block:
                return


def as_it_is(item: Any) -> Any:
    """Otherwise a loader makes tensors of arrays."""
    return item


class StreamLoader:
    """The batches of a stream, and the position behind the last one that was taken, however many were read ahead."""

    def __init__(self, dataset: StreamedBatches, **options: Any):
        self.dataset = dataset
        # A generator of its own: a loader draws from the common one, and a resumed run begins a loader more often.
        self.loader = DataLoader(dataset, batch_size=None, collate_fn=as_it_is, generator=torch.Generator(), **options)

    def __iter__(self) -> Iterator[Batch]:
        for lane, position, batch in self.loader:
            self.dataset.positions[lane] = position
            self.dataset.turn = (lane + 1) % self.dataset.lanes
            yield batch

    def state_dict(self) -> dict[str, Any]:
        return {"positions": self.dataset.positions, "turn": self.dataset.turn, "lanes": self.dataset.all_lanes}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Raises: UserError where other processes or workers read now than did then."""
        if state["lanes"] != self.dataset.all_lanes:
            raise UserError(
                f"The stream was read by {state['lanes']} readers (processes x workers) and is now by "
                f"{self.dataset.all_lanes}; only the same number can go on from its position."
            )
        self.dataset.positions, self.dataset.turn = state["positions"], state["turn"]


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
        images = [pixels for pixels, _ in read]
        if (own := self.plan.transform) is not None:
            how = {"seed": self.seed, "epoch": number}
            images = [
                own(pixels, self.table.name(record), sample=place, **how) for place, (pixels, record) in enumerate(read)
            ]
        batch: dict[str, Any] = {"pixel_values": torch.stack(images)}
        batch["labels"] = torch.tensor([self.table.label_of(record) for _, record in read])
        if numbers is not None:
            batch["numbers"] = numbers
        if self.table.reading.check_finite:
            batch["names"] = [self.table.name(record) for _, record in read]
        return batch

    def readable(self, records: Sequence[Any], place: int, numbers: np.ndarray | None) -> tuple[Tensor, Any]:
        """This record's image; or, where broken ones are skipped, that of the next of the batch that can be read."""
        for record in [*records[place:], *records[:place]]:
            try:
                pixels = self.preparation.pixels(self.table.open(record), self.plan.view(numbers))
            except UnreadableImage:
                if self.on_error == "fail":
                    raise
                continue
            if record is not records[place]:
                with self.counter.get_lock():
                    self.counter.value += 1
            return pixels, record
        raise UnreadableImage(f"Not one of the {len(records)} images of a batch can be read.")
