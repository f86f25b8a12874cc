"""Clips of frames: where each token lies in space and time, and which frames there are to see."""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from .positions import Angles, EmbeddingPositions, Grid, resample_grid


class Clip(NamedTuple):
    """What layers are told of the clips in a batch.

    frames, grid: how many frames a clip has, and (rows, columns) of patches in each.
    seen: b t, False for frames that only fill a short clip up; None where there are none of these.
    over_time, over_all: what it leaves to see of one place, and of all tokens, in the form that attention takes.
    in_space, in_time: angles that turn the tokens of one frame, and those of one place.
    """

    frames: int
    grid: Grid
    seen: Tensor | None = None
    over_time: Tensor | None = None
    over_all: Tensor | None = None
    in_space: Angles | None = None
    in_time: Angles | None = None


def class_apart(tokens: Tensor) -> tuple[Tensor, Tensor]:
    """... (1 n) d -> ... 1 d, ... n d: the class token and the others. Gradients of two slices would be padded."""
    first, rest = tokens.split([1, tokens.shape[-2] - 1], dim=-2)
    return first, rest


def frames_of(tokens: Tensor, frames: int) -> Tensor:
    """b (1 t n) d -> (b t) (1 n) d: the tokens of each frame, behind the class token that all of them share."""
    first, patches = class_apart(tokens)
    first = first[:, None].expand(-1, frames, -1, -1)  # b t 1 d
    return torch.cat([first, patches.unflatten(1, (frames, -1))], dim=2).flatten(0, 1)


def places_of(tokens: Tensor, frames: int) -> Tensor:
    """b (t n) d -> (b n) t d: the tokens of each place, frame after frame."""
    return tokens.unflatten(1, (frames, -1)).transpose(1, 2).flatten(0, 1)


def mean_of_frames(values: Tensor, seen: Tensor | None) -> Tensor:
    """b t n d, b t -> b n d: the mean over the frames that are seen."""
    if seen is None:
        return values.mean(dim=1)
    seen = seen[:, :, None, None]
    return values.masked_fill(~seen, 0).sum(dim=1) / seen.sum(dim=1).to(values.dtype)


def nearest_frames(table: Tensor, frames: int) -> Tensor:
    """t ... -> t' ...: for each of other frames the row of the nearest. Source: TimeSformer, released code."""
    old = table.shape[0]
    return table if old == frames else table[torch.arange(frames, device=table.device) * old // frames]


class FrameTable(nn.Module):
    """b t n d -> b t n d: adds a row of `table` to all tokens of a frame. Source: arXiv:2102.05095, released code."""

    def __init__(self, frames: int, width: int):
        super().__init__()
        self.table = nn.Parameter(torch.empty(frames, width))

    def forward(self, patches: Tensor) -> Tensor:
        return patches + nearest_frames(self.table, patches.shape[1])[:, None]


class ClipTable(EmbeddingPositions):
    """b (1 t n) d -> b (1 t n) d: adds a row of `table` to every token; the first belongs to the class token.

    Source: lucidrains/TimeSformer-pytorch.
    """

    def __init__(self, frames: int, grid: Grid, width: int):
        super().__init__((frames * grid[0], grid[1]), 1, width)
        self.frames, self.frame_grid = frames, grid

    def forward(self, tokens: Tensor, grid: Grid, frames: int = 1) -> Tensor:
        first, rest = self.table.weight[:1], self.table.weight[1:].unflatten(0, (self.frames, -1))
        rest = resample_grid(nearest_frames(rest, frames), self.frame_grid, grid)  # t n d
        return tokens + torch.cat([first, rest.flatten(0, 1)])


def as_angles(angles: Tensor, prefix: int) -> Angles:
    """n e -> cosines and sines (prefix n) e: tokens of the prefix are not turned."""
    angles = functional.pad(angles, (0, 0, prefix, 0))
    return angles.cos(), angles.sin()


def rotary_frame(grid: Grid, width: int, *, like: Tensor, highest: float = 10.0) -> Angles:
    """-> (1 h w) e: half of the angles go by row, half by column, each from -1 to 1 whatever the grid.

    Frequencies run from half a turn to `highest` / 2 of them. Source: lucidrains/TimeSformer-pytorch.
    """
    made = {"dtype": torch.promote_types(like.dtype, torch.float32), "device": like.device}
    scales = math.pi * torch.logspace(0, math.log2(highest / 2), width // 4, base=2, **made)
    rows, columns = (torch.linspace(-1, 1, side, **made)[:, None] * scales for side in grid)
    by_row = rows[:, None].expand(-1, grid[1], -1)
    by_column = columns[None].expand(grid[0], -1, -1)
    return as_angles(torch.cat([by_row, by_column], dim=-1).flatten(0, 1).repeat(1, 2), 1)


def rotary_clip(frames: int, width: int, *, prefix: int, like: Tensor, period: float = 10_000.0) -> Angles:
    """-> (prefix t) e: angles that grow with the number of the frame.

    The two halves of a pair have angles of their own, since the source repeats its frequencies side by side but pairs
    neighbors; weights that were trained so need it so. Source: lucidrains/TimeSformer-pytorch.
    """
    made = {"dtype": torch.promote_types(like.dtype, torch.float32), "device": like.device}
    waves = (period ** -(torch.arange(0, width, 2, **made) / width)).repeat(2)
    waves = torch.cat([waves[0::2], waves[1::2]])
    return as_angles(torch.arange(frames, **made)[:, None] * waves, prefix)
