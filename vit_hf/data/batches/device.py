"""The last steps from bytes to what a model takes, for a whole batch on the model's own device."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from einops import rearrange
from torch import Tensor

from ...errors import UserError
from ..augment.plan import AugmentationPlan, in_shares
from ..decode.preparation import ClipPreparation, Preparation

# Bytes of pixels that a processor takes at a time, so that all that is made of them stays in its cache.
PART = 16 * 3 * 224 * 224


@cache
def keep_freed_memory() -> None:
    """glibc gives large blocks back to the system, and each new one then costs a fault for every page: a third of the
    time of an augmentation. Having freed one of nearly 32 MiB, it keeps as much for the next."""
    torch.empty(31 * 2**20, dtype=torch.uint8)


def parts_of(pixels: Tensor) -> list[slice]:
    """b ... -> the parts that are finished one after the other; no pair to be mixed is torn apart."""
    size = max(2, PART // pixels[0].numel() // 2 * 2) if pixels.device.type == "cpu" else len(pixels)
    return [slice(start, start + size) for start in range(0, len(pixels), size)]


def refuse_broken(pixels: Tensor, names: Sequence[str]) -> None:
    """Waits for the device. Raises: UserError that names the first image of which a pixel is no finite number."""
    finite = pixels.isfinite().flatten(1).all(dim=1).tolist()
    if not all(finite):
        raise UserError(f"{names[finite.index(False)]} has NaN or infinite pixels once it is prepared.")


class DevicePreparation:
    """Augmentation, normalization, erasing and mixing, in this order.

    A raw batch, as `ImageBatches.raw` hands it out, holds `pixel_values` in bytes, or else `rows` of the images that
    lie on the device already; `labels`; where it is augmented the `numbers` of its samples, which stay on the CPU; and
    `names` of the images where finished pixels are to be looked at.
    """

    def __init__(
        self,
        preparation: Preparation | ClipPreparation,
        plan: AugmentationPlan,
        *,
        classes: int,
        resident: Tensor | None = None,  # n ... c h w, bytes
    ):
        self.preparation = preparation
        self.plan = plan
        self.classes = classes
        self.resident = resident
        keep_freed_memory()

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """-> pixel_values b ... c h w (floats), labels b or b classes. A batch of anybody else's passes as it is."""
        if "rows" not in batch and batch["pixel_values"].is_floating_point():
            return dict(batch)
        pixels, labels = self.bytes_of(batch), batch["labels"]
        numbers: np.ndarray | None = batch.get("numbers")
        finished = [
            self.part(pixels[part], labels[part], None if numbers is None else numbers[part])
            for part in parts_of(pixels)
        ]
        if len(finished) > 1:
            pixels, labels = (torch.cat(values) for values in zip(*finished, strict=True))
        else:
            ((pixels, labels),) = finished
        if "names" in batch:
            refuse_broken(pixels, batch["names"])
        return {"pixel_values": pixels, "labels": labels}

    def part(self, pixels: Tensor, labels: Tensor, numbers: np.ndarray | None) -> tuple[Tensor, Tensor]:
        """b ... c h w (bytes), b, b draws -> b ... c h w (floats), b or b classes"""
        if numbers is None:
            return self.preparation.normalize_(in_shares(pixels)), labels
        images = rearrange(pixels, "b ... c h w -> (b ...) c h w")  # all frames, each of which changes as its clip does
        of_images = np.repeat(numbers, len(images) // len(pixels), axis=0)
        images = self.preparation.normalize_(self.plan.augment(images, of_images))
        images = self.plan.augment_normalized(images, of_images)
        wholes = rearrange(images, "(b t) c h w -> b (t c) h w", b=len(pixels))  # clips are mixed as wholes
        mixed, labels = self.plan.mix(wholes, labels, numbers, self.classes)
        return mixed.reshape(pixels.shape), labels

    def bytes_of(self, batch: Mapping[str, Any]) -> Tensor:
        """-> b ... c h w"""
        if "rows" not in batch:
            return batch["pixel_values"]
        if self.resident is None:
            raise UserError("The batch names rows of images in memory, and there are none; finish it where it is from.")
        rows = batch["rows"]
        if self.resident.device != rows.device:
            self.resident = self.resident.to(rows.device)
        return self.resident.index_select(0, rows)
