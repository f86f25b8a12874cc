"""From a picture to bytes of the model's size, and from those to what the model is used to."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ...errors import UserError
from ...modality import IMAGE, VIDEO, Modality
from ...models.films import untouched
from ...models.frame_sampling import frames_of_clip
from .images import OpenPicture, Picture, StoredPicture, as_image
from .resize import Box, Sizing, part, resize, spare_factor
from .videos import Footage


@dataclass(frozen=True)
class View:
    """What of an image or video is decoded: if nothing else is said, as much of its middle as the processor keeps.

    box: of an image of this height and width the part that is taken. place: of a clip in its video, from 0 to 1.
    side: which part of the longer side is cut out, from 0 (left, top) to 1.
    corner: of an image seven eighths of each side, which lie there: (0, 0) is at the top left, (1, 1) at the bottom
        right. flip: whether an image is mirrored from left to right.
    """

    box: Callable[[int, int], Box] | None = None
    place: float = 0.5
    side: float = 0.5
    corner: tuple[float, float] | None = None
    flip: bool = False


MIDDLE = View()
ZOOM = 7 / 8  # of each side, as 224 pixels are of 256


def corner_of(pixels: np.ndarray, corner: tuple[float, float]) -> np.ndarray:
    """h w c -> H W c: seven eighths of each side, at least a pixel"""
    sides = zip(pixels.shape[:2], corner, strict=True)
    rows, columns = (part(length, max(1, round(ZOOM * length)), place) for length, place in sides)
    return pixels[rows, columns]


def range_of(processor: Any) -> tuple[float, float] | None:
    """What is black and white in images of more than eight bits; None where a processor of any library knows none."""
    low_and_high = getattr(processor, "pixel_range", None)
    return None if low_and_high is None else (float(low_and_high[0]), float(low_and_high[1]))


def shares_arithmetic(processor: Any) -> tuple[Tensor, Tensor]:
    """-> c (or 1), c (or 1), doubles: the mean that a processor takes off pixels from 0 to 1, and the std that it
    divides them by; its rescaling of bytes, if it is none to 0..1, is counted in."""
    normalizes = processor.do_normalize
    mean = torch.tensor(processor.image_mean if normalizes else [0.0], dtype=torch.float64)
    std = torch.tensor(processor.image_std if normalizes else [1.0], dtype=torch.float64)
    rescales = getattr(processor, "do_rescale", True)
    white = 255 * (getattr(processor, "rescale_factor", None) or 1 / 255) if rescales else 255.0
    plain = abs(white - 1) < 1e-9
    return (mean, std) if plain else (mean / white, std / white)


class Preparation:
    """The image processor's resizing and cropping apart from its arithmetic, which follows the augmentation."""

    modality: Modality = IMAGE

    def __init__(self, processor: Any, channels: int):
        self.processor = processor
        self.channels = channels
        self.sizing = Sizing.of(processor)
        self.pixel_range = range_of(processor)
        self.mean, self.std = (values.float().reshape(-1, 1, 1) for values in shares_arithmetic(processor))
        # Every image becomes as large as a blank one does.
        blank = self.pixels(OpenPicture(Image.new("L", (32, 32))))
        self.size: tuple[int, int] = (blank.shape[1], blank.shape[2])
        self.bytes_per_image = blank.numel()

    def pixels(self, picture: Picture, view: View = MIDDLE) -> Tensor:
        """-> c h w, bytes: as the processor sizes it, or to within a gray level where that is faster"""
        if view.flip:
            return self.pixels(picture, replace(view, flip=False)).flip(-1)
        if view.box is not None:
            return self.part(picture, view.box)
        if view.corner is not None:
            return self.pixels(StoredPicture(corner_of(self.whole(picture), view.corner)))
        if self.sizing is None:
            pixels = picture.pixels(self.channels)
            sized = self.processor(as_image(pixels), do_rescale=False, do_normalize=False, return_tensors="np")
            return torch.from_numpy(sized["pixel_values"][0].astype(np.uint8))
        height, width = picture.size
        resized = self.sizing.resized(height, width)
        pixels = picture.pixels(self.channels, spare_factor(height, width, resized))
        return self.sizing.cut(resize(pixels, *resized, self.sizing.resample), view.side)

    def part(self, picture: Picture, box_of: Callable[[int, int], Box]) -> Tensor:
        """-> c h w, bytes: a random part of the picture, in the model's size"""
        height, width = picture.size
        box = box_of(height, width)
        pixels = picture.pixels(self.channels, spare_factor(box.height, box.width, self.size))
        resample = self.sizing.resample if self.sizing else Image.Resampling.BICUBIC
        return resize(box.of(pixels, height, width), *self.size, resample)

    def whole(self, picture: Picture) -> np.ndarray:
        """-> h w c, bytes: all of the picture, no more than twice to four times as large as the model wants it"""
        return picture.pixels(self.channels, spare_factor(*picture.size, self.size))

    def decode(self, picture: Picture) -> None:
        """Only to see whether it can be. Raises: UnreadableImage."""
        self.whole(picture)

    def whole_bytes(self, picture: Picture) -> int:
        """How many `whole` takes."""
        return self.whole(picture).nbytes

    def normalize_(self, shares: Tensor) -> Tensor:
        """... c h w -> ... c h w: from 0..1 to what the model is used to, in place"""
        mean, std = (values.to(shares.device, non_blocking=True) for values in (self.mean, self.std))
        return shares.sub_(mean).div_(std)


class ClipPreparation:
    """As `Preparation`, of footage in place of pictures and with a t before c h w.

    Raises: UserError for a processor that leaves frames the size that they are.
    """

    modality: Modality = VIDEO

    def __init__(self, processor: Any, channels: int):
        self.processor = processor
        self.channels = channels
        if Sizing.of(processor) is None:
            raise UserError(
                "The processor of the videos does not resize and cut them; set do_resize and do_center_crop."
            )
        self.frame = Preparation(processor, channels)
        self.mean, self.std, self.size = self.frame.mean, self.frame.std, self.frame.size
        self.pixel_range = self.frame.pixel_range
        self.frames: int = processor.num_frames
        self.bytes_per_image = self.frames * self.frame.bytes_per_image

    def frames_at(
        self, footage: Footage, place: float = MIDDLE.place, made: Callable[[Any], Any] = untouched
    ) -> list[Any]:
        """The frames of the clip at this place in the video, or what `made` makes of each; of footage with as many
        frames as a clip has, all."""
        how = self.processor
        numbers = frames_of_clip(footage.timing, self.frames, how.sampling, how.sampling_rate, place)
        return footage.pictures(numbers, made)

    def pixels(self, footage: Footage, view: View = MIDDLE) -> Tensor:
        """-> t c h w, bytes"""
        return torch.stack(self.frames_at(footage, view.place, lambda picture: self.frame.pixels(picture, view)))

    def whole(self, footage: Footage) -> np.ndarray:
        """-> t h w c, bytes: all of the frames of the clip in the middle of the video"""
        return np.stack(self.frames_at(footage, made=self.frame.whole))

    def decode(self, footage: Footage) -> None:
        """Only to see whether the frames of that clip can be, and without keeping them. Raises: UnreadableImage."""
        self.frames_at(footage, made=self.frame.decode)

    def whole_bytes(self, footage: Footage) -> int:
        """How many `whole` takes, of which one frame is decoded."""
        (frame,) = footage.pictures([0], self.frame.whole_bytes)
        return self.frames * frame

    def normalize_(self, shares: Tensor) -> Tensor:
        """... c h w -> ... c h w: from 0..1 to what the model is used to, in place"""
        return self.frame.normalize_(shares)
