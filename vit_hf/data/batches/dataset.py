"""Batches for the Trainer: ours arrive whole, other people's data sets as lists of records."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
import torch
from einops import rearrange
from torch import Tensor
from torch.utils.data import Dataset

from ...errors import UserError
from ..augment.plan import AugmentationPlan
from ..decode.files import UnreadableImage
from ..decode.preparation import ClipPreparation, Preparation, View
from ..sources.tables import ImageTable
from .cache import PixelStore
from .device import DevicePreparation
from .views import ImageViews

COLUMNS = ("pixel_values", "labels")


def collate(records: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """-> pixel_values b c h w, labels b (whole numbers) or b labels (shares). Whole batches pass as they are."""
    if isinstance(records, Mapping):
        return dict(records)
    first = records[0]
    for column in COLUMNS:
        if column not in first:
            raise UserError(
                f"The column {column!r} is missing; the data set has {', '.join(map(repr, first))}. Add it (for "
                "pixel_values: the output of the image processor), and let the Trainer keep all columns with "
                "remove_unused_columns=False."
            )
    return {column: torch.stack([torch.as_tensor(record[column]) for record in records]) for column in COLUMNS}


MEMORY = 2 * 1024**3  # bytes of prepared pixels that are kept by default, in memory or on the device


class ImageBatches(Dataset):
    """pixel_values (b c h w, or of clips b t c h w) and labels (b). The augmentation of a sample depends on the seed,
    the epoch and the sample's number, and on nothing else. A number beyond the images is one of them once more.

    repeats, balanced: how its samples are drawn in training (see training/trainer/order.py).
    resident: whether the pixels of a store go to the device as a whole, where they are few enough for that.
    undecoded: n, whether nobody has decoded an image yet; those that come up are taken off.

    Batches come whole from `__getitems__`: collating a list of records costs more than a tiny model's step.
    """

    def __init__(
        self,
        table: ImageTable,
        preparation: Preparation | ClipPreparation,
        *,
        store: PixelStore | None = None,
        undecoded: np.ndarray | None = None,
        resident: bool = False,
        plan: AugmentationPlan | None = None,
        classes: int = 0,
        on_error: Literal["fail", "skip"] = "fail",
        check_finite: bool = False,
        seed: int = 0,
        repeats: int = 1,
        balanced: bool = False,
    ):
        self.table = table
        self.preparation = preparation
        self.store = store
        self.plan = plan or AugmentationPlan()
        self.on_error: Literal["fail", "skip"] = on_error
        self.check_finite = check_finite
        self.seed = seed
        self.repeats, self.balanced = repeats, balanced
        self.labels = torch.from_numpy(table.labels)
        drawn_here = self.plan.chooses or self.plan.transform is not None
        stays = resident and store is not None and not drawn_here and store.flat.nbytes <= MEMORY
        lying = torch.from_numpy(store.all()) if stays and store else None
        self.finish = DevicePreparation(preparation, self.plan, classes=classes, resident=lying)
        # Shared memory, so that workers which outlive an epoch learn of the next one, and can say what they skipped.
        self.epoch = torch.zeros((), dtype=torch.int64).share_memory_()
        self.replaced = torch.zeros(len(table), dtype=torch.bool).share_memory_()
        undecoded = np.zeros(len(table), dtype=bool) if undecoded is None else undecoded
        self.undecoded = torch.from_numpy(undecoded).clone().share_memory_()

    def set_epoch(self, epoch: int) -> None:
        """Called by Accelerate at the start of every epoch."""
        self.epoch.fill_(epoch)

    def __len__(self) -> int:
        return len(self.table)

    def raw(self, indices: Sequence[int]) -> dict[str, Any]:
        """What is the loader's part of a batch; `finish` does the rest, on any device."""
        samples = np.asarray(indices, dtype=np.int64)
        rows = samples % len(self)
        batch: dict[str, Any] = {}
        numbers = self.plan.numbers(self.seed, int(self.epoch), samples) if self.plan.draws else None
        if self.finish.resident is not None:
            batch["rows"] = torch.from_numpy(rows)
        else:
            batch["pixel_values"], rows = self.pixels(rows, numbers)
            if self.plan.transform is not None:
                batch["pixel_values"] = self.transformed(batch["pixel_values"], rows, samples)
        batch["labels"] = self.labels[torch.from_numpy(rows)]
        if numbers is not None:
            batch["numbers"] = numbers
        if self.check_finite:
            batch["names"] = [self.table.name_of(row) for row in rows]
        return {**batch, "samples": samples}

    def pixels(self, rows: np.ndarray, numbers: np.ndarray | None) -> tuple[Tensor, np.ndarray]:
        """-> b ... c h w (bytes), and the rows that they are of: others where broken images are skipped"""
        if self.store is not None and not self.plan.chooses:
            return self.store.batch(rows), rows
        read = [self.readable(int(row), None if numbers is None else numbers[place]) for place, row in enumerate(rows)]
        return torch.stack([pixels for pixels, _ in read]), np.array([row for _, row in read])

    def transformed(self, pixels: Tensor, rows: np.ndarray, samples: np.ndarray) -> Tensor:
        """b ... c h w -> b ... c h w: by the user's own transform"""
        own, epoch = self.plan.transform, int(self.epoch)
        assert own is not None
        return torch.stack(
            [
                own(image, self.table.name_of(int(row)), seed=self.seed, epoch=epoch, sample=int(sample))
                for image, row, sample in zip(pixels, rows, samples, strict=True)
            ]
        )

    def readable(self, row: int, numbers: np.ndarray | None) -> tuple[Tensor, int]:
        """The image of this row; or, where broken ones are skipped, of the next row that can be read."""
        for place in range(len(self)):
            found = (row + place) % len(self)
            try:
                pixels = self.preparation.pixels(self.open(found), self.plan.view(numbers))
                self.undecoded[found] = False
                return pixels, found
            except UnreadableImage:
                if self.on_error == "fail":
                    raise
                self.replaced[found] = True
        raise UnreadableImage("Not one image can be read any more.")

    def open(self, row: int) -> Any:
        """A `Picture`, or of videos `Footage`, as the preparation takes it."""
        if self.store is None:
            return self.table.open(row)
        return self.table.modality.open_stored(self.store.image(row))

    @property
    def skipped(self) -> int:
        """Images that could not be read any more, and of which others took the places."""
        return int(self.replaced.sum())

    def __getitems__(self, indices: Sequence[int]) -> dict[str, Tensor]:
        return self.finish(self.raw(indices))

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {name: rearrange(values, "1 ... -> ...") for name, values in self.__getitems__([index]).items()}


class Raw(Protocol):
    """What hands out raw batches. repeats, balanced, labels: as of `ImageBatches`."""

    repeats: int
    balanced: bool
    labels: Tensor

    def set_epoch(self, epoch: int) -> None: ...

    def __len__(self) -> int: ...

    def raw(self, indices: Sequence[int]) -> dict[str, Any]: ...


class RawBatches(Dataset):
    """The same images, handed out as raw batches that are finished on the device."""

    def __init__(self, images: Raw):
        self.images = images
        self.repeats, self.balanced, self.labels = images.repeats, images.balanced, images.labels

    def set_epoch(self, epoch: int) -> None:
        self.images.set_epoch(epoch)

    def __len__(self) -> int:
        return len(self.images)

    def __getitems__(self, indices: Sequence[int]) -> dict[str, Any]:
        return self.images.raw(indices)


class Views(NamedTuple):
    """Of how many clips, evenly over a video, and of how many parts of each, from side to side, answers are averaged.

    Source: arXiv:2102.05095, section 4: 1 x 3 on Kinetics.
    """

    clips: int = 1
    crops: int = 1

    @property
    def count(self) -> int:
        return self.clips * self.crops

    @classmethod
    def parse(cls, text: str) -> "Views":
        """3x1 are three clips of each video, and of each the middle."""
        if (found := re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", text)) is None:
            raise UserError(f"--views {text} is no number of clips and of crops; write it as 1x3 or 10x3.")
        return cls(int(found[1]), int(found[2]))

    def each(self) -> list[View]:
        """Clip after clip, and of each its parts from left (or top) to right."""
        sides = [crop / (self.crops - 1) if self.crops > 1 else 0.5 for crop in range(self.crops)]
        return [View(place=(clip + 0.5) / self.clips, side=side) for clip in range(self.clips) for side in sides]


def seen_by(views: Views | ImageViews, preparation: Any, item: Any) -> Tensor:
    """-> v (t) c h w, bytes. item: a `Picture`, or `Footage`, as the preparation takes it."""
    return torch.stack([preparation.pixels(item, view) for view in views.each()])


class ViewedItems(Dataset):
    """pixel_values (b v) (t) c h w, image after image or video after video, as a torch data set that hands out whole
    batches."""

    def __init__(self, table: ImageTable, preparation: Preparation | ClipPreparation, views: Views | ImageViews):
        self.table, self.preparation, self.views = table, preparation, views

    def __len__(self) -> int:
        return len(self.table)

    def __getitems__(self, rows: Sequence[int]) -> dict[str, Tensor]:
        pixels = torch.cat([seen_by(self.views, self.preparation, self.table.open(row)) for row in rows])
        return {"pixel_values": self.preparation.normalize_(pixels.float().div_(255))}


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
