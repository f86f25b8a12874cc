"""From a picture to bytes of the model's size, and from those to what the model is used to."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from .augmentation import RandomResizedCrop
from .decoding import OpenPicture, Picture
from .resizing import Sizing, resize, spare_factor


@dataclass(frozen=True)
class Drawn:
    """What is chosen of a picture before it is decoded.

    crop, numbers: a random part, and what it is drawn by. place: of a clip in its video, from 0 to 1. side: which part
    of the longer side is cut out, from 0 (left, top) to 1.
    """

    crop: RandomResizedCrop | None = None
    numbers: np.ndarray | None = None
    place: float = 0.5
    side: float = 0.5


WHOLE = Drawn()


class Preparation:
    """The image processor's resizing and cropping apart from its arithmetic, which follows the augmentation."""

    def __init__(self, processor: Any, channels: int):
        self.processor = processor
        self.channels = channels
        self.sizing = Sizing.of(processor)
        normalises = processor.do_normalize
        self.mean = torch.tensor(processor.image_mean if normalises else [0.0]).reshape(-1, 1, 1)
        self.std = torch.tensor(processor.image_std if normalises else [1.0]).reshape(-1, 1, 1)
        # Every image becomes as large as a blank one does.
        blank = self.pixels(OpenPicture(Image.new("L", (32, 32))))
        self.size: tuple[int, int] = (blank.shape[1], blank.shape[2])
        self.bytes_per_image = blank.numel()

    def pixels(self, picture: Picture, drawn: Drawn = WHOLE) -> Tensor:
        """-> c h w, bytes: as the processor sizes it, or to within a grey level where that is faster; or what is drawn
        of it"""
        if drawn.crop is not None and drawn.numbers is not None:
            return self.part(picture, drawn.crop, drawn.numbers)
        if self.sizing is None:
            pixels = picture.pixels(self.channels)
            image = Image.fromarray(pixels if self.channels > 1 else pixels[..., 0])
            sized = self.processor(image, do_rescale=False, do_normalize=False, return_tensors="np")
            return torch.from_numpy(sized["pixel_values"][0].astype(np.uint8))
        height, width = picture.size
        resized = self.sizing.resized(height, width)
        pixels = picture.pixels(self.channels, spare_factor(height, width, resized))
        return self.sizing.cut(resize(pixels, *resized, self.sizing.resample), drawn.side)

    def part(self, picture: Picture, crop: RandomResizedCrop, numbers: np.ndarray) -> Tensor:
        """-> c h w, bytes: a random part of the picture, in the model's size"""
        height, width = picture.size
        box = crop.box(height, width, numbers)
        pixels = picture.pixels(self.channels, spare_factor(box.height, box.width, self.size))
        resample = self.sizing.resample if self.sizing else Image.Resampling.BICUBIC
        return resize(box.of(pixels, height, width), *self.size, resample)

    def whole(self, picture: Picture) -> np.ndarray:
        """-> h w c, bytes: all of the picture, no more than twice to four times as large as the model wants it"""
        return picture.pixels(self.channels, spare_factor(*picture.size, self.size))

    def normalise_(self, shares: Tensor) -> Tensor:
        """... c h w -> ... c h w: from 0..1 to what the model is used to, in place"""
        return shares.sub_(self.mean.to(shares.device)).div_(self.std.to(shares.device))
