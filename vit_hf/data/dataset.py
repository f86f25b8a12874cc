"""Checked images as a torch data set that hands out whole batches."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from einops import rearrange
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from .augmentation import DRAWS, augment
from .checking import keep_readable, read_all
from .random_numbers import uniform
from .reading import with_channels
from .settings import DataSettings
from .tables import ImageTable

MEMORY = 2 * 1024**3  # bytes of prepared pixels that are kept by default


class Preparation:
    """The image processor's resizing and cropping apart from its arithmetic, which follows the augmentation."""

    def __init__(self, processor: Any, channels: int):
        self.processor = processor
        self.channels = channels
        normalises = processor.do_normalize
        self.mean = torch.tensor(processor.image_mean if normalises else [0.0]).reshape(-1, 1, 1)
        self.std = torch.tensor(processor.image_std if normalises else [1.0]).reshape(-1, 1, 1)

    def pixels(self, image) -> np.ndarray:
        """-> c h w, bytes"""
        image = with_channels(image, self.channels)
        sized = self.processor(image, do_rescale=False, do_normalize=False, return_tensors="np")
        return sized["pixel_values"][0].astype(np.uint8)

    def bytes_per_image(self) -> int:
        """Every image becomes as large as a blank one does."""
        return self.pixels(Image.new("L", (32, 32))).nbytes

    def normalise(self, shares: Tensor) -> Tensor:
        """b c h w -> b c h w: from 0..1 to what the model is used to."""
        return (shares - self.mean) / self.std


class ImageBatches(Dataset):
    """pixel_values (b c h w) and labels (b). The augmentation of a sample depends on the seed, the epoch and the
    sample's place in the split, and on nothing else.

    Batches come whole from `__getitems__`: collating a list of records costs more than a tiny model's step.
    """

    def __init__(
        self,
        table: ImageTable,
        preparation: Preparation,
        *,
        pixels: Tensor | None = None,
        augmentations: Mapping[str, float] | None = None,
        check_finite: bool = False,
        seed: int = 0,
    ):
        self.table = table
        self.preparation = preparation
        self.pixels_in_memory = pixels
        self.augmentations = augmentations or {}
        self.check_finite = check_finite
        self.seed = seed
        self.labels = torch.from_numpy(table.labels)
        # Shared memory, so that workers which outlive an epoch learn of the next one.
        self.epoch = torch.zeros((), dtype=torch.int64).share_memory_()

    def set_epoch(self, epoch: int) -> None:
        """Called by Accelerate at the start of every epoch."""
        self.epoch.fill_(epoch)

    def __len__(self) -> int:
        return len(self.table)

    def pixels(self, indices: Sequence[int]) -> Tensor:
        """-> b c h w, bytes"""
        if self.pixels_in_memory is not None:
            return self.pixels_in_memory[torch.as_tensor(indices)]
        read = [self.preparation.pixels(self.table.image(index)) for index in indices]
        return torch.from_numpy(np.stack(read))

    def __getitems__(self, indices: Sequence[int]) -> dict[str, Tensor]:
        draws = uniform(self.seed, int(self.epoch), np.asarray(indices), DRAWS * len(self.augmentations))
        shares = self.pixels(indices).float() / 255
        shares = augment(shares, self.augmentations, torch.from_numpy(draws).float())
        pixel_values = self.preparation.normalise(shares)
        if self.check_finite and not pixel_values.isfinite().all():
            bad = (~pixel_values.isfinite()).flatten(1).any(dim=1).nonzero()[0]
            raise ValueError(f"{self.table.name_of(indices[int(bad)])} has NaN or infinite pixels.")
        return {"pixel_values": pixel_values, "labels": self.labels[torch.as_tensor(indices)]}

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {name: rearrange(values, "1 ... -> ...") for name, values in self.__getitems__([index]).items()}


def load_batches(
    table: ImageTable,
    preparation: Preparation,
    settings: DataSettings,
    *,
    split: str,
    augmentations: Mapping[str, float] | None = None,
    seed: int = 0,
) -> ImageBatches:
    """Read and check every image of a split, and keep the prepared pixels where memory holds them."""
    in_memory = settings.keep_in_memory
    if in_memory is None:
        in_memory = preparation.bytes_per_image() * len(table) <= MEMORY
    prepare = preparation.pixels if in_memory else lambda image: True
    results, lines = read_all(table, prepare, f"{split} images")
    table = keep_readable(table, results, lines, settings.on_error)
    pixels = torch.from_numpy(np.stack([result for result in results if result is not None])) if in_memory else None
    return ImageBatches(
        table,
        preparation,
        pixels=pixels,
        augmentations=augmentations,
        check_finite=settings.check_finite,
        seed=seed,
    )
