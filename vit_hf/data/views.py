"""Several clips of each video, and several parts of each clip, whose answers are averaged."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import Dataset

from .clips import ClipPreparation
from .footage import Footage
from .preparation import Drawn
from .tables import ImageTable


class Views(NamedTuple):
    """Of how many clips, evenly over a video, and of how many parts of each, from side to side, answers are averaged.

    Source: arXiv:2102.05095, section 4: 1 x 3 on Kinetics.
    """

    clips: int = 1
    crops: int = 1

    @property
    def count(self) -> int:
        return self.clips * self.crops

    def drawn(self) -> list[Drawn]:
        """What each shows: clip after clip, and of each its parts from left (or top) to right."""
        sides = [crop / (self.crops - 1) if self.crops > 1 else 0.5 for crop in range(self.crops)]
        return [Drawn(place=(clip + 0.5) / self.clips, side=side) for clip in range(self.clips) for side in sides]


def seen_by(views: Views, preparation: ClipPreparation, footage: Footage) -> Tensor:
    """-> v t c h w, bytes"""
    return torch.stack([preparation.pixels(footage, drawn) for drawn in views.drawn()])


class ViewedVideos(Dataset):
    """pixel_values (b v) t c h w, video after video, as a torch data set that hands out whole batches."""

    def __init__(self, table: ImageTable, preparation: ClipPreparation, views: Views):
        self.table, self.preparation, self.views = table, preparation, views

    def __len__(self) -> int:
        return len(self.table)

    def __getitems__(self, rows: Sequence[int]) -> dict[str, Tensor]:
        pixels = torch.cat([seen_by(self.views, self.preparation, self.table.picture(row)) for row in rows])
        return {"pixel_values": self.preparation.normalise_(pixels.float().div_(255))}
