"""The same work on images by vit_hf, by `datasets` with transformers' image processor, and by torchvision on Pillow."""

import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ...data.augment.augmentations import RandomResizedCrop
from ...data.augment.plan import AugmentationPlan
from ...data.batches.cache import open_or_build
from ...data.batches.device import DevicePreparation
from ...data.decode.images import StoredPicture, open_picture
from ...data.decode.preparation import Preparation
from ...data.decode.processors import make_image_processor
from ...data.sources.image_folders import scan_folder
from ...models.configuration_vit import VisionTransformerConfig
from .peers import OURS

IMAGE_SIZE = 224
AUGMENTED: dict[str, Any] = {
    "random_resized_crop": True,
    "flip": 0.5,
    "randaugment": {"n": 2, "magnitude": 9, "probability": 1.0},
    "erase": 0.25,
}


@dataclass(frozen=True)
class Work:
    """Calls that do the same. goal: how many times as fast as `against` the `ours` of it has to be."""

    name: str
    images: int
    calls: dict[str, Callable[[], Any]]
    goals: dict[tuple[str, str], float] = field(default_factory=dict)
    rounds: int | None = None  # fewer, where one takes long


def preparation(side: int = IMAGE_SIZE) -> Preparation:
    return Preparation(make_image_processor(VisionTransformerConfig(image_size=side)), 3)


def records(files: list[bytes], transform: Callable[[Any], Any]):
    """A `datasets` table of encoded images, prepared when they are read."""
    datasets = import_module("datasets")
    features = datasets.Features({"image": datasets.Image()})
    table = datasets.Dataset.from_dict({"image": [{"bytes": file, "path": None} for file in files]}, features=features)
    return table.with_transform(lambda rows: {"pixels": [transform(image) for image in rows["image"]]})


def to_model(
    height: int, width: int, images: int, *, goal: float | None = None, goal_in_bytes: float, side: int = IMAGE_SIZE
) -> Work:
    """From a JPEG to what the model takes, and to the bytes that the device makes it of."""
    files = [photo(height, width, seed) for seed in range(images)]
    own = preparation(side)
    finish = DevicePreparation(own, AugmentationPlan(), classes=1)
    labels = torch.zeros(images, dtype=torch.int64)

    def in_bytes() -> Tensor:
        return torch.stack([own.pixels(open_picture(file, "photo")) for file in files])

    processor = own.processor
    table = records(files, lambda image: processor(image.convert("RGB"), return_tensors="pt")["pixel_values"])
    calls: dict[str, Callable[[], Any]] = {
        OURS: lambda: finish({"pixel_values": in_bytes(), "labels": labels}),
        f"{OURS}, bytes": in_bytes,
        "datasets + transformers": lambda: table[:],
    }
    if v2 := torchvision():
        bicubic = v2.InterpolationMode.BICUBIC
        resize = v2.Resize((side, side), interpolation=bicubic)
        moved = v2.Compose([resize, v2.ToImage(), v2.ToDtype(torch.float32, scale=True), normalization(v2)])
        beside = records(files, lambda image: moved(image.convert("RGB")))
        calls["datasets + torchvision"] = lambda: beside[:]
    goals = {(f"{OURS}, bytes", "datasets + transformers"): goal_in_bytes}
    if goal is not None:
        goals[OURS, "datasets + transformers"] = goal
    return Work(f"JPEG of {width} x {height} to {side}", images, calls, goals)


def torchvision():
    return import_module("torchvision.transforms.v2") if find_spec("torchvision") else None


def normalization(v2):
    return v2.Normalize([0.5] * 3, [0.5] * 3)


def augmentation(images: int) -> Work:
    """Random resized crop, flip, RandAugment, erasing and normalizing of decoded photos, between pixels alike."""
    open_photos = [Image.open(as_file(photo(375, 500, seed))).convert("RGB") for seed in range(images)]
    pictures = [StoredPicture(np.array(image)) for image in open_photos]
    own, plan = preparation(), AugmentationPlan.of(AUGMENTED)
    finish, crop = DevicePreparation(own, plan, classes=1), RandomResizedCrop()
    labels, epochs = torch.zeros(images, dtype=torch.int64), iter(range(10**9))

    def ours() -> Any:
        numbers = plan.numbers(0, next(epochs), np.arange(images))
        parts = [
            own.part(picture, partial(crop.box, numbers=row[: crop.draws]))
            for picture, row in zip(pictures, numbers, strict=True)
        ]
        return finish({"pixel_values": torch.stack(parts), "labels": labels, "numbers": numbers})

    calls: dict[str, Callable[[], Any]] = {OURS: ours}
    goals = {}
    if v2 := torchvision():
        moved = v2.Compose(
            [
                v2.RandomResizedCrop(IMAGE_SIZE, interpolation=v2.InterpolationMode.BICUBIC),
                v2.RandomHorizontalFlip(),
                v2.RandAugment(2, 9, interpolation=v2.InterpolationMode.BILINEAR),
                v2.ToImage(),
                v2.ToDtype(torch.float32, scale=True),
                normalization(v2),
                v2.RandomErasing(0.25),
            ]
        )
        calls["torchvision on Pillow"] = lambda: torch.stack([moved(image) for image in open_photos])
        goals[OURS, "torchvision on Pillow"] = 2.0
    return Work("augmentation without decoding", images, calls, goals)


def as_file(data: bytes):
    return io.BytesIO(data)


def tiny_and_folders(root: Path, files: int) -> list[Work]:
    """A folder of small JPEGs: ready, decoded (which no goal is set for), and read from a cache."""
    folder = folder_of_photos(root / "photos", files)
    datasets = import_module("datasets")

    def load_by_datasets() -> Any:
        return datasets.load_dataset("imagefolder", data_dir=str(folder), cache_dir=str(root / "datasets"))["train"]

    by_datasets = load_by_datasets()
    table = scan_folder(folder).split("train")
    contents = [Path(item).read_bytes() for item in table.items[:100]]
    own = preparation(32)
    prepare = lambda picture: own.pixels(picture).numpy()  # noqa: E731
    store = open_or_build(root / "cache", table, {}, prepare, "photos").store
    numbers = np.random.default_rng(0)
    rows = [numbers.permutation(files)[:100] for _ in range(64)]
    turns = iter(range(10**9))
    as_arrays = by_datasets.with_transform(lambda batch: {"pixels": [np.asarray(image) for image in batch["image"]]})
    return [
        Work(
            f"folder of {files:,} images ready",
            files,
            {OURS: lambda: scan_folder(folder), "datasets, cached": load_by_datasets},
            {(OURS, "datasets, cached"): 100.0},
            rounds=3,
        ),
        Work(
            "JPEG of 32 x 32 decoded",
            len(contents),
            {
                OURS: lambda: [open_picture(file, "photo").pixels(3) for file in contents],
                "Pillow": lambda: [np.asarray(Image.open(as_file(file)).convert("RGB")) for file in contents],
            },
        ),
        Work(
            "batches of 100 from the cache",
            100,
            {
                OURS: lambda: None if store is None else store.batch(rows[next(turns) % 64]),
                "datasets": lambda: as_arrays[rows[next(turns) % 64].tolist()],
            },
            {(OURS, "datasets"): 20.0},
        ),
    ]


def photo(height: int, width: int, seed: int, *, quality: int = 90) -> bytes:
    """A JPEG with structure at all scales, as in nature: the finer, the fainter."""
    numbers = np.random.default_rng(seed)
    pixels = np.zeros((height, width, 3), dtype=np.float32)
    for cells in (3, 12, 48):
        coarse = (numbers.random((cells, cells, 3)) * 255).astype(np.uint8)
        fine = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
        pixels += np.asarray(fine, dtype=np.float32) / cells**0.5
    pixels = (pixels - pixels.min()) / (pixels.max() - pixels.min()) * 255
    pixels += numbers.normal(0, 4, pixels.shape)
    buffer = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def folder_of_photos(
    root: Path, count: int, *, classes: int = 10, size: tuple[int, int] = (32, 32), different: int = 16
) -> Path:
    """root/class/number.jpg; of so many that differ, made on all cores, each many times. size: height and width"""
    with ThreadPoolExecutor() as pool:
        some = list(pool.map(lambda seed: photo(*size, seed), range(different)))
    for label in range(classes):
        (root / f"class{label}").mkdir(parents=True)
    for number in range(count):
        (root / f"class{number % classes}" / f"{number:06d}.jpg").write_bytes(some[number % len(some)])
    return root
