"""Images of which squares are hidden, the same ones whatever the batch, the worker or the restart."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from einops import repeat
from torch import Tensor
from torch.utils.data import Dataset

from ..data.augment.random_numbers import uniform
from ..data.batches.dataset import ImageBatches
from ..errors import UserError
from .recipe.optimization import MaskingSettings

MASKING_STREAM = 0x3A5C  # sets these draws apart from those of the augmentation, which has the same seed


def choose_masked(draws: Tensor, ratio: float, grid: tuple[int, int], scale: tuple[int, int]) -> Tensor:
    """b (rows columns), uniform -> b (h w): the squares of the smallest numbers are hidden, ceil(ratio) of them.

    A square is `scale` patches high and wide; what sticks out of the grid is cut off.
    """
    rows, columns = (-(-side // step) for side, step in zip(grid, scale, strict=True))
    count = int(np.ceil(rows * columns * ratio))
    hidden = draws.argsort(dim=1).argsort(dim=1) < count
    squares = hidden.unflatten(1, (rows, columns))
    patches = repeat(squares, "b r c -> b (r h) (c w)", h=scale[0], w=scale[1])
    return patches[:, : grid[0], : grid[1]].flatten(1)


def square_scale(settings: MaskingSettings, patch: tuple[int, int]) -> tuple[int, int]:
    """How many patches a hidden square is high and wide. Raises: UserError unless patches fill it."""
    if settings.patch_size is None:
        return (2, 2)
    for side in patch:
        if settings.patch_size % side:
            raise UserError(
                f"optimization.masking.patch_size={settings.patch_size} is not a multiple of the model's patches of "
                f"{side} pixels; {max(1, round(settings.patch_size / side)) * side} is."
            )
    return (settings.patch_size // patch[0], settings.patch_size // patch[1])


class MaskedImages(Dataset):
    """pixel_values (b c h w) and bool_masked_pos (b (h w)); the masks are a function of (seed, epoch, sample).

    Handed out raw and finished on a device as those of `ImageBatches` are.
    """

    def __init__(
        self, images: ImageBatches, settings: MaskingSettings, *, grid: tuple[int, int], patch: tuple[int, int]
    ):
        self.images = images
        self.settings = settings
        self.grid = grid
        self.scale = square_scale(settings, patch)
        self.repeats, self.balanced, self.labels = images.repeats, images.balanced, images.labels

    def set_epoch(self, epoch: int) -> None:
        self.images.set_epoch(epoch)

    def __len__(self) -> int:
        return len(self.images)

    def masks(self, indices: Sequence[int]) -> Tensor:
        """-> b (h w)"""
        squares = int(np.prod([-(-side // step) for side, step in zip(self.grid, self.scale, strict=True)]))
        draws = uniform(self.images.seed ^ MASKING_STREAM, int(self.images.epoch), np.asarray(indices), squares)
        return choose_masked(torch.from_numpy(draws), self.settings.ratio, self.grid, self.scale)

    def raw(self, indices: Sequence[int]) -> dict[str, Any]:
        return {**self.images.raw(indices), "bool_masked_pos": self.masks(indices)}

    def finish(self, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        pixels = self.images.finish(batch)["pixel_values"]
        return {"pixel_values": pixels, "bool_masked_pos": batch["bool_masked_pos"]}

    def __getitems__(self, indices: Sequence[int]) -> dict[str, Tensor]:
        return self.finish(self.raw(indices))

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {name: values[0] for name, values in self.__getitems__([index]).items()}


def collate_masked(records: Mapping[str, Tensor] | Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
    """-> pixel_values b c h w, bool_masked_pos b (h w)"""
    if isinstance(records, Mapping):
        return dict(records)
    return {name: torch.stack([torch.as_tensor(record[name]) for record in records]) for name in records[0]}
