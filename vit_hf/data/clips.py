"""From a video to bytes of a clip in the model's size: all frames are cut and resized alike."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..models.frame_choice import frames_of_clip
from .decoding import Picture
from .footage import Footage
from .preparation import WHOLE, Drawn, Preparation
from .resizing import Sizing


class ClipPreparation:
    """As `Preparation`, of footage in place of pictures and with a t before c h w.

    Raises: ValueError for a processor that leaves frames the size that they are.
    """

    def __init__(self, processor: Any, channels: int):
        self.processor = processor
        self.channels = channels
        if Sizing.of(processor) is None:
            raise ValueError(
                "The processor of the videos does not resize and cut them; set do_resize and do_center_crop."
            )
        self.frame = Preparation(processor, channels)
        self.mean, self.std, self.size = self.frame.mean, self.frame.std, self.frame.size
        self.frames: int = processor.num_frames
        self.bytes_per_image = self.frames * self.frame.bytes_per_image

    def chosen(self, footage: Footage, place: float) -> list[Picture]:
        """The frames of the clip at this place in the video; of footage with as many frames as a clip has, all."""
        how = self.processor
        return footage.pictures(frames_of_clip(len(footage), self.frames, how.sampling, how.sampling_rate, place))

    def pixels(self, footage: Footage, drawn: Drawn = WHOLE) -> Tensor:
        """-> t c h w, bytes"""
        return torch.stack([self.frame.pixels(picture, drawn) for picture in self.chosen(footage, drawn.place)])

    def whole(self, footage: Footage) -> np.ndarray:
        """-> t h w c, bytes: every frame of the video"""
        return np.stack([self.frame.whole(picture) for picture in footage.pictures(range(len(footage)))])

    def normalise_(self, shares: Tensor) -> Tensor:
        """... c h w -> ... c h w: from 0..1 to what the model is used to, in place"""
        return self.frame.normalise_(shares)


def preparation_for(processor: Any, channels: int) -> Preparation | ClipPreparation:
    """Of clips where the processor chooses frames, else of images."""
    return (ClipPreparation if hasattr(processor, "num_frames") else Preparation)(processor, channels)
