"""Where a patch lies: tables that are added to tokens, angles that turn them, biases that attention adds."""

import math
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

Grid = tuple[int, int]
Angles = tuple[Tensor, Tensor]  # their cosines and sines, n e each


def resample_grid(table: Tensor, old: Grid, new: Grid) -> Tensor:
    """... (h w) d -> ... (h w) d: a table over one grid of patches, read at the places of another.

    Bicubic with antialias, by rows and columns, in float32 or better. The same grid gives back the table itself.
    """
    if old == new:
        return table
    dtype = torch.promote_types(table.dtype, torch.float32)
    image = rearrange(table.to(dtype), "... (h w) d -> ... h w d", h=old[0], w=old[1])
    down, across = (resize_matrix(one, other, image) for one, other in zip(old, new, strict=True))
    return torch.einsum("ih, jw, ...hwd -> ...ijd", down, across, image).flatten(-3, -2).to(table.dtype)


def resize_matrix(old: int, new: int, like: Tensor, mode: str = "bicubic") -> Tensor:
    """-> new old: what each of `new` places along a line takes from each of `old`, with antialias.

    From an identity of at least two columns, because torch 2.13 resizes images to a single column wrongly.
    """
    if old == 1:
        return like.new_ones(new, 1)
    identity = torch.eye(old, dtype=like.dtype, device=like.device)[None, None]
    return functional.interpolate(identity, size=(new, old), mode=mode, antialias=True)[0, 0]


def nearest_frames(table: Tensor, frames: int) -> Tensor:
    """t ... -> t' ...: for each of other frames the row of the nearest. Source: TimeSformer, released code."""
    old = table.shape[0]
    if not torch.compiler.is_exporting() and old == frames:  # which an export must not ask, or it is of so many frames
        return table
    return table[torch.arange(frames, device=table.device) * old // frames]


class TablePositions(nn.Module):
    """b (c h w) d -> b (c h w) d: adds a row of `table` to every token; `prefix` rows belong to the class token."""

    table: Any

    def __init__(self, grid: Grid, prefix: int, width: int):
        super().__init__()
        self.grid, self.prefix, self.width = grid, prefix, width

    def forward(self, tokens: Tensor, grid: Grid) -> Tensor:
        rows = self.table.weight if isinstance(self.table, nn.Embedding) else self.table
        if grid != self.grid:
            first, patches = rows[..., : self.prefix, :], rows[..., self.prefix :, :]
            rows = torch.cat([first, resample_grid(patches, self.grid, grid)], dim=-2)
        return tokens + rows


class LearnedPositions(TablePositions):
    """A parameter over all tokens. Source: arXiv:2010.11929."""

    def __init__(self, grid: Grid, prefix: int, width: int):
        super().__init__(grid, prefix, width)
        self.table = nn.Parameter(torch.empty(1, prefix + grid[0] * grid[1], width))


class EmbeddingPositions(TablePositions):
    """An `nn.Embedding` looked up at 0, 1, 2, ... Source: lucidrains/TimeSformer-pytorch."""

    def __init__(self, grid: Grid, prefix: int, width: int):
        super().__init__(grid, prefix, width)
        self.table = nn.Embedding(prefix + grid[0] * grid[1], width)


class SincosPositions(TablePositions):
    """Fixed waves; none for the class token. Another grid reads the same waves at finer or coarser places."""

    def forward(self, tokens: Tensor, grid: Grid) -> Tensor:
        rows = sincos_2d(grid, self.width, native=self.grid, device=tokens.device).to(tokens.dtype)
        return tokens + functional.pad(rows, (0, 0, self.prefix, 0))


class NoPositions(TablePositions):
    """b n d -> b n d: tokens stay as they are; attention itself may know places."""

    def forward(self, tokens: Tensor, grid: Grid) -> Tensor:
        return tokens


POSITIONS = {
    "learned": LearnedPositions,
    "embedding": EmbeddingPositions,
    "sincos_2d": SincosPositions,
    "rotary": NoPositions,
    "relative_bias": NoPositions,
    "none": NoPositions,
}


def build_positions(kind: str, *, grid: Grid, prefix: int, width: int) -> TablePositions:
    """What a config's `position_embedding` adds to the tokens."""
    return POSITIONS[kind](grid, prefix, width)


def sincos_2d(grid: Grid, width: int, *, native: Grid | None = None, period: float = 10_000.0, device=None) -> Tensor:
    """-> (h w) d: a quarter of `width` each for sin and cos of the column, sin and cos of the row.

    The slowest wave is 2π·`period` patches long. On a grid other than `native`, patches are placed between the
    native ones so that both grids cover the same image. Source: arXiv:2205.01580, released code (big_vision).
    """
    waves = period ** -torch.linspace(0, 1, width // 4, device=device)
    rows, columns = (
        (torch.arange(new, device=device, dtype=torch.float32) + 0.5) * (old / new) - 0.5
        for new, old in zip(grid, native or grid, strict=True)
    )
    by_row = (rows[:, None] * waves)[:, None].expand(-1, grid[1], -1)
    by_column = (columns[:, None] * waves)[None].expand(grid[0], -1, -1)
    return torch.cat([by_column.sin(), by_column.cos(), by_row.sin(), by_row.cos()], dim=-1).flatten(0, 1)


def rotary_2d(grid: Grid, width: int, *, prefix: int, theta: float, device=None) -> tuple[Tensor, Tensor]:
    """-> n e, n e: cosines and sines that turn queries and keys by the row and column of their patch.

    Half of the angles go by row, half by column; patch centers lie in [-1, 1] whatever the grid, so any size of
    image works. The `prefix` tokens stay unturned. Source: DINOv3 (arXiv:2508.10104), released code.
    """
    periods = theta ** (torch.arange(width // 4, device=device, dtype=torch.float32) / (width // 4))
    rows, columns = ((torch.arange(side, device=device, dtype=torch.float32) + 0.5) * (2 / side) - 1 for side in grid)
    by_row = (rows[:, None] / periods)[:, None].expand(-1, grid[1], -1)
    by_column = (columns[:, None] / periods)[None].expand(grid[0], -1, -1)
    angles = 2 * math.pi * torch.cat([by_row, by_column], dim=-1).flatten(0, 1)
    angles = functional.pad(angles.repeat(1, 2), (0, 0, prefix, 0))
    return angles.cos(), angles.sin()


def apply_rotary(tokens: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    """b heads n e, n e, n e -> b heads n e: rotates each pair (i, i + e / 2) by its angle."""
    first, second = tokens.chunk(2, dim=-1)
    return tokens * cosines.to(tokens.dtype) + torch.cat([-second, first], dim=-1) * sines.to(tokens.dtype)


class RelativeBias(nn.Module):
    """-> 1 heads n n: a learned bias of attention scores for each step between two patches, by rows and columns.

    Three more rows serve prefix tokens: from one to a patch, from a patch to one, and between them.
    Source: Swin (arXiv:2103.14030); the three rows from BEiT (arXiv:2106.08254).
    """

    def __init__(self, grid: Grid, prefix: int, heads: int):
        super().__init__()
        self.grid, self.prefix = grid, prefix
        self.steps = (2 * grid[0] - 1, 2 * grid[1] - 1)
        self.table = nn.Parameter(torch.empty(self.steps[0] * self.steps[1] + (3 if prefix else 0), heads))

    def forward(self, grid: Grid) -> Tensor:
        count, steps = self.steps[0] * self.steps[1], (2 * grid[0] - 1, 2 * grid[1] - 1)
        table = torch.cat([resample_grid(self.table[:count], self.steps, steps), self.table[count:]])
        bias = table[relative_index(grid, self.prefix, device=table.device)]
        return rearrange(bias, "n k heads -> 1 heads n k")


def relative_index(grid: Grid, prefix: int = 0, device=None) -> Tensor:
    """-> n n: for each pair of tokens, the row of the table that holds the step between them."""
    rows, columns = (torch.arange(side, device=device) for side in grid)
    down = rows[:, None] - rows[None] + grid[0] - 1
    right = columns[:, None] - columns[None] + grid[1] - 1
    index = down[:, None, :, None] * (2 * grid[1] - 1) + right[None, :, None, :]
    index = functional.pad(index.flatten(2).flatten(0, 1), (prefix, 0, prefix, 0))
    to_patch = (2 * grid[0] - 1) * (2 * grid[1] - 1)
    index[:prefix, prefix:], index[prefix:, :prefix], index[:prefix, :prefix] = to_patch, to_patch + 1, to_patch + 2
    return index
