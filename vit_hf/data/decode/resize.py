"""Resizing and cutting bytes as the image processor of a model does, several times as fast.

torch's own antialiased resizing of bytes differs from Pillow's by a gray level in few pixels, and by two in very few.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

from ...models.image_processing_vit import VisionTransformerImageProcessor, bordered, covering, fitting, middle
from .images import FACTORS

BY_TORCH = {Image.Resampling.BILINEAR: "bilinear", Image.Resampling.BICUBIC: "bicubic"}


class Box(NamedTuple):
    """A rectangle, in pixels."""

    top: int
    left: int
    height: int
    width: int

    def of(self, pixels: np.ndarray, height: int, width: int) -> np.ndarray:
        """h w c -> H W c: this part of an image of height x width, where the pixels may be fewer than that."""
        rows, columns = pixels.shape[:2]
        down, across = rows / height, columns / width
        top, left = min(round(self.top * down), rows - 1), min(round(self.left * across), columns - 1)
        bottom, right = round((self.top + self.height) * down), round((self.left + self.width) * across)
        return pixels[top : max(bottom, top + 1), left : max(right, left + 1)]


def resize(pixels: np.ndarray, height: int, width: int, resample: int) -> Tensor:
    """h w c -> c H W (bytes)"""
    if pixels.shape[:2] == (height, width):
        return torch.from_numpy(pixels.transpose(2, 0, 1))
    if (mode := BY_TORCH.get(Image.Resampling(resample))) is None:
        image = Image.fromarray(pixels if pixels.shape[2] > 1 else pixels[..., 0])
        resized = np.atleast_3d(np.array(image.resize((width, height), Image.Resampling(resample))))
        return torch.from_numpy(resized.transpose(2, 0, 1))
    # A view with the channels last, for which torch has its fastest code.
    image = torch.from_numpy(pixels).permute(2, 0, 1)[None]
    return functional.interpolate(image, (height, width), mode=mode, antialias=True, align_corners=False)[0]


def spare_factor(height: int, width: int, target: tuple[int, int]) -> int:
    """By how much an image may be decoded smaller: so that its sides stay at least twice those of the target."""
    fits = (factor for factor in FACTORS if height >= 2 * factor * target[0] and width >= 2 * factor * target[1])
    return next(fits, 1)


@dataclass(frozen=True)
class Sizing:
    """To which size an image is resized, and what is cut out of its middle or put around it: processors, in numbers.

    size: (height, width) to squeeze into, to cover where there is a crop, or to fit into where there is a border; or
    the shortest side, to keep the shape. border: its color, a byte for each channel.
    """

    size: tuple[int, int] | int
    crop: tuple[int, int] | None
    resample: int
    border: tuple[int, ...] | None = None

    @classmethod
    def of(cls, processor: Any) -> "Sizing | None":
        """None for processors that do anything else."""
        size, crop, resample = processor.size, processor.crop_size, processor.resample
        cuts = processor.do_center_crop
        if not processor.do_resize or resample is None:
            return None
        if type(processor) is ViTImageProcessorPil and not cuts and size.height and size.width:
            return cls((size.height, size.width), None, resample)
        if not isinstance(processor, VisionTransformerImageProcessor):
            return None
        if processor.fit != "crop" and not cuts and size.height and size.width:
            border = tuple(processor.pad_color or (0,)) if processor.fit == "pad" else None
            return cls((size.height, size.width), None, resample, border)
        if processor.fit == "crop" and cuts:
            return cls(size.shortest_edge or (size.height, size.width), (crop.height, crop.width), resample)
        return None

    def resized(self, height: int, width: int) -> tuple[int, int]:
        """The size of an image of height x width before it is cut."""
        if isinstance(self.size, int):
            return shortest_side(height, width, self.size)
        if self.border is not None:
            return fitting(height, width, self.size)
        return covering(height, width, self.size) if self.crop else self.size

    def cut(self, pixels: Tensor, side: float = 0.5) -> Tensor:
        """c H W -> c h w: the middle; or of the longer side what `side` says, from 0 (left, top) to 1. Or all of it, in
        its border."""
        if self.border is not None and not isinstance(self.size, int):
            return torch.from_numpy(bordered(pixels.numpy(), self.size, self.border))
        if self.crop is None:
            return pixels
        height, width = pixels.shape[1:]
        rows, columns = middle(height, self.crop[0]), middle(width, self.crop[1])
        if side != 0.5:
            tall = height - self.crop[0] > width - self.crop[1]
            rows, columns = (
                (part(height, self.crop[0], side), columns) if tall else (rows, part(width, self.crop[1], side))
            )
        return pixels[:, rows, columns]


def part(length: int, wanted: int, side: float) -> slice:
    """Where `wanted` of `length` pixels lie, from the first (0) to the last (1)."""
    start = round(side * (length - wanted))
    return slice(start, start + wanted)


def shortest_side(height: int, width: int, wanted: int) -> tuple[int, int]:
    """(height, width) of the same shape; the longer side is rounded down, as in transformers."""
    longer = int(wanted * max(height, width) / min(height, width))
    return (wanted, longer) if height <= width else (longer, wanted)
