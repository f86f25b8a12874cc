"""Clips of frames: from pixels to tokens, where each of them lies in space and time, and which frames are seen."""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from .attention import build_dropout
from .configuration_timesformer import TimeSformerConfig
from .modeling_base import check_pixels
from .patches import build_patches
from .positions import Angles, EmbeddingPositions, Grid, build_positions, nearest_frames, resample_grid
from .shapes import UserError


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


class TimeSformerEmbeddings(nn.Module):
    """b t c (h p) (w p) -> b (1 t h w) d: the class token and a token for each patch of each frame, with positions.

    For "space_only", where frames know nothing of each other, -> (b t) (1 h w) d.
    """

    def __init__(self, config: TimeSformerConfig):
        super().__init__()
        width, grid, kind = config.hidden_size, config.patch_grid, config.position_embedding
        self.patches = build_patches(
            config.patch_embedding, channels=config.num_channels, patch_size=config.patch_size, width=width
        )
        self.class_token = nn.Parameter(torch.empty(1, 1, width))
        self.apart = config.attention_type == "space_only"
        whole = kind == "embedding" and not self.apart
        self.positions = build_positions("none" if whole else kind, grid=grid, prefix=1, width=width)
        self.frame_positions = FrameTable(config.num_frames, width) if kind == "learned" and not self.apart else None
        self.clip_positions = ClipTable(config.num_frames, grid, width) if whole else None
        self.dropout = build_dropout(config.embedding_dropout_prob)

    def forward(self, pixel_values: Tensor, clip: Clip) -> Tensor:
        patches = self.patches(pixel_values.flatten(0, 1))  # (b t) n d
        tokens = torch.cat([self.class_token.expand(patches.shape[0], -1, -1), patches], dim=1)  # (b t) (1 n) d
        tokens = self.positions(tokens, clip.grid)
        return self.dropout(tokens if self.apart else self.join(tokens, clip))

    def merge_frames(self, tokens: Tensor, clip: Clip) -> Tensor:
        """(b t) (1 n) d -> b (1 n) d: where frames know nothing of each other, the mean of those that are seen."""
        return mean_of_frames(tokens.unflatten(0, (-1, clip.frames)), clip.seen) if self.apart else tokens

    def join(self, tokens: Tensor, clip: Clip) -> Tensor:
        """(b t) (1 n) d -> b (1 t n) d: the frames one after the other, behind one class token."""
        tokens = tokens.unflatten(0, (-1, clip.frames))
        first, patches = tokens[:, 0, :1], tokens[:, :, 1:]
        if self.frame_positions is not None:
            patches = self.frame_positions(patches)
        tokens = torch.cat([first, patches.flatten(1, 2)], dim=1)
        return tokens if self.clip_positions is None else self.clip_positions(tokens, clip.grid, clip.frames)


def check_clips(pixel_values: Tensor, channels: int, *, finite: bool = False) -> None:
    """Raises: UserError unless these are clips b t c h w of floats; with `finite`, also for NaN and infinities."""
    shape = None if pixel_values is None else tuple(pixel_values.shape)
    if shape is None or len(shape) != 5:
        hint = "; a still image is a clip of one frame, pixel_values[:, None]" if shape and len(shape) == 4 else ""
        raise UserError(f"pixel_values of shape {shape} are not (batch, frames, channels, height, width){hint}.")
    if shape[2] != channels == shape[1]:  # asked first of channels, for an export leaves frames open
        raise UserError(
            f"pixel_values of shape {shape} have {shape[2]} channels in each of {shape[1]} frames; the model takes "
            f"{channels}. If channels come before frames, give pixel_values.transpose(1, 2)."
        )
    check_pixels(pixel_values.flatten(0, 1), channels, finite=finite)


def seen_frames(frame_mask: Tensor | None, pixel_values: Tensor) -> Tensor | None:
    """b t -> b t, boolean. Raises: UserError for another shape, and for a clip of which nothing is seen."""
    if frame_mask is None:
        return None
    if frame_mask.shape != pixel_values.shape[:2]:
        given, wanted = tuple(frame_mask.shape), tuple(pixel_values.shape[:2])
        raise UserError(f"frame_mask of shape {given} is not of the clips and frames of pixel_values, {wanted}.")
    seen = frame_mask.to(pixel_values.device, torch.bool)
    if not torch.compiler.is_compiling() and not bool(seen.any(dim=1).all()):
        hidden = (~seen.any(dim=1)).nonzero()[:, 0].tolist()
        raise UserError(f"frame_mask hides every frame of the clips {hidden[:10]} of the batch; leave them out.")
    return seen
