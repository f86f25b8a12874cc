"""Images for the trainings of the benchmark: bytes that lie on the device, and a folder of JPEGs for both libraries."""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ....data.augment.plan import AugmentationPlan, MixSettings
from ....data.batches.cache import PixelStore
from ....data.batches.dataset import ImageBatches, RawBatches, collate
from ....data.sources.image_folders import scan_folder
from ....data.sources.tables import ImageTable
from ..contenders import folder_of_photos, preparation
from ..peers import OURS
from .samples import one_line

MANY_CLASSES = 1000
MIXUP = MixSettings(mixup=0.2)  # as in imagenet1k_vit_s16_90ep, from which the augmentations are too
# Bytes on the device are as large as the model wants them: in place of a random part of a whole photo they are moved.
LIGHT: dict[str, Any] = {"pad_and_crop": 16, "flip": 0.5}
HEAVY: dict[str, Any] = {**LIGHT, "randaugment": {"n": 2, "magnitude": 10}}
CROPPED: dict[str, Any] = {"random_resized_crop": 0.05, "flip": 0.5}


@dataclass(frozen=True)
class Amounts:
    """How much is done. side: of images, in pixels. steps, warm: of a training, timed and before that. resident: images
    that lie on the device. files, photos: JPEGs, and how many of them differ. data_batch, data_batches, data_warm: of
    the data path alone.
    """

    side: int = 224
    batch: int = 256
    steps: int = 60
    warm: int = 10
    resident: int = 8192
    files: int = 1536
    photos: int = 96
    photo: tuple[int, int] = (375, 500)
    workers: int = 16
    data_batch: int = 64
    data_batches: int = 160
    data_warm: int = 48

    @property
    def images(self) -> int:
        """That a training sees."""
        return self.batch * (self.steps + self.warm)

    def with_loaders(self) -> "Amounts":
        """Begun once what processes have loaded in advance is used up, and of as many batches from each."""
        return replace(self, warm=6 * self.workers, steps=6 * self.workers)

    def barely(self) -> "Amounts":
        """As much as it takes to compile."""
        return replace(self, steps=1, warm=1, resident=2 * self.batch, files=10, photos=1, workers=0)


FEW = Amounts(
    side=32,
    batch=4,
    steps=2,
    warm=1,
    resident=16,
    files=12,
    photos=4,
    photo=(40, 50),
    workers=1,
    data_batch=4,
    data_batches=3,
    data_warm=2,
)


def write_photos(folder: Path, amounts: Amounts) -> Path:
    """folder/class/number.jpg"""
    return folder_of_photos(folder, amounts.files, size=amounts.photo, different=amounts.photos)


def resident_images(amounts: Amounts, train: Mapping[str, Any]) -> ImageBatches:
    """Random bytes, which the device keeps as a whole and augments itself."""
    count, side = amounts.resident, amounts.side
    numbers = np.random.default_rng(0)
    flat = np.frombuffer(numbers.bytes(count * 3 * side * side), dtype=np.uint8).copy()
    store = PixelStore(flat, np.tile(np.array([3, side, side], dtype=np.int64), (count, 1)))
    table = ImageTable.of(
        range(count),
        numbers.integers(0, MANY_CLASSES, count),
        source=lambda item, name: item,
        name=lambda item, row: "",
    )
    plan = AugmentationPlan.of(train, MIXUP)
    return ImageBatches(table, preparation(side), store=store, resident=True, plan=plan, classes=MANY_CLASSES)


def photos_of_ours(folder: Path, amounts: Amounts, count: int) -> ImageBatches:
    """As many images as asked for, the files over and over, decoded and cut by whoever loads them."""
    table = scan_folder(folder).split("train")
    table = table.select(np.arange(count) % len(table))
    plan = AugmentationPlan.of(CROPPED, MIXUP)
    return ImageBatches(table, preparation(amounts.side), plan=plan, classes=MANY_CLASSES)


class ExamplePhotos(Dataset):
    """The same files as transformers' example script reads them: Pillow, torchvision's transforms, a record each.

    Raises: ImportError where torchvision is missing.
    """

    def __init__(self, folder: Path, amounts: Amounts, count: int):
        transforms = import_module("torchvision.transforms")
        self.files = sorted(folder.glob("*/*.jpg"))
        self.count = count
        self.transform = transforms.Compose(
            [
                transforms.RandomResizedCrop(amounts.side),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize([0.5] * 3, [0.5] * 3),
            ]
        )

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> dict[str, Any]:
        file = self.files[index % len(self.files)]
        with Image.open(io.BytesIO(file.read_bytes())) as image:
            return {"pixel_values": self.transform(image.convert("RGB")), "labels": int(file.parent.name[5:])}


def collate_examples(records: list[dict[str, Any]]) -> dict[str, Tensor]:
    pixels = torch.stack([record["pixel_values"] for record in records])
    return {"pixel_values": pixels, "labels": torch.tensor([record["labels"] for record in records])}


def loading_speed(dataset: Dataset, collator: Any, amounts: Amounts, *, pinned: bool) -> dict[str, float]:
    """Images a second of all processes together, once they are at work; three times, one after the other."""
    loader = DataLoader(
        dataset, amounts.data_batch, num_workers=amounts.workers, collate_fn=collator, pin_memory=pinned
    )
    batches = iter(loader)
    for _ in range(amounts.data_warm):
        next(batches)
    third = max(1, amounts.data_batches // 3)
    speeds = []
    for _ in range(3):
        start = perf_counter()
        for _ in range(third):
            next(batches)
        speeds.append(third * amounts.data_batch / (perf_counter() - start))
    return {"median": median(speeds), "low": min(speeds), "high": max(speeds)}


def data_rows(folder: Path, amounts: Amounts, *, pinned: bool) -> list[dict[str, Any]]:
    """The same photos as bytes by our loader, and as floats in records by transformers' way."""
    # More than are taken, so that every process has work until the end.
    batches = amounts.data_warm + amounts.data_batches + 3 * max(1, amounts.workers)
    count = batches * amounts.data_batch
    feeds: dict[str, Callable[[], tuple[Dataset, Any]]] = {
        OURS: lambda: (RawBatches(photos_of_ours(folder, amounts, count)), collate),
        "Pillow and torchvision": lambda: (ExamplePhotos(folder, amounts, count), collate_examples),
    }
    rows = []
    for name, feed in feeds.items():
        try:
            dataset, collator = feed()
            speeds = loading_speed(dataset, collator, amounts, pinned=pinned)
            rows.append({"library": name, "images_per_second": speeds})
        except Exception as error:  # noqa: BLE001
            rows.append({"library": name, "error": one_line(error)})
    return rows
