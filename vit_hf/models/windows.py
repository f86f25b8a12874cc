"""Windows of a grid of patches: which tokens lie in them, which see each other, and the bias of their steps."""

from typing import NamedTuple

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional

from .positions import Grid, RelativeBias


class Side(NamedTuple):
    """One side of a grid: the windows along it, how many tokens each reaches, and how far they are shifted."""

    windows: int
    reach: int
    shift: int

    @property
    def whole(self) -> int:
        """Tokens along it, padding included."""
        return self.windows * self.reach

    def token(self, window: Tensor, place: Tensor) -> Tensor:
        """The row or column that lies in a place of a window; those beyond the grid are padding."""
        return remainder(window * self.reach + place + self.shift, self.whole)[1]

    def place(self, token: Tensor) -> tuple[Tensor, Tensor]:
        """The inverse: the window of a row or column, and the place within."""
        return remainder(remainder(token + self.whole - self.shift, self.whole)[1], self.reach)


class Windows(NamedTuple):
    """How a grid of tokens is divided into windows: padded at the bottom and the right, rolled up and left, and cut.

    mask_padding: whether padding is hidden from attention. shifts: whether windows are shifted where there is room.
    """

    grid: Grid
    sides: tuple[Side, Side]
    mask_padding: bool
    shifts: bool

    @property
    def shape(self) -> Grid:
        """(rows, columns) of a window."""
        return self.sides[0].reach, self.sides[1].reach

    @property
    def filled(self) -> bool:
        """Whether windows fill the grid without padding. Of sizes that an export leaves open that is not known."""
        return fixed(*self.grid) and (self.sides[0].whole, self.sides[1].whole) == self.grid

    @property
    def rolled(self) -> bool:
        """Whether the grid is rolled, as far as is known."""
        return bool(self.sides[0].shift or self.sides[1].shift) if fixed(*self.grid) else self.shifts

    @property
    def unmoved(self) -> bool:
        """Whether tokens in windows lie as they do in the image."""
        return self.filled and self.sides[1].windows == 1 and not self.rolled


def windows_of(grid: Grid, window: Grid, *, shifted: bool, clamped: bool, mask_padding: bool) -> Windows:
    """Windows of `window` patches or, where `clamped`, of a whole side that is no longer, which is then not shifted.

    Shifted ones lie half a window further down and right. Source: Swin (arXiv:2103.14030), section 3.2.
    """
    down, across = (windows_along(side, reach, clamped, shifted) for side, reach in zip(grid, window, strict=True))
    return Windows(grid, (down, across), mask_padding, shifted)


def windows_along(side: int, window: int, clamped: bool, shifted: bool) -> Side:
    """The windows along a side; where clamped, one that covers the side is cut down to it, and not shifted."""
    reach = least(window, side) if clamped else window
    windows = (side - 1) // reach + 1
    shift = reach // 2 if shifted else 0
    return Side(windows, reach, least(shift, (windows - 1) * reach) if clamped else shift)


def least(one: int, other: int) -> int:
    """Of sizes that an export leaves open, too; compilers before torch 2.13 take `sym_min` of those alone."""
    return min(one, other) if fixed(one, other) else torch.sym_min(one, other)  # pyright: ignore[reportReturnType]


def most(one: int, other: int) -> int:
    """As `least`."""
    return max(one, other) if fixed(one, other) else torch.sym_max(one, other)  # pyright: ignore[reportReturnType]


def fixed(*sizes: int) -> bool:
    """Whether these are plain numbers, and none that an export leaves open."""
    return all(isinstance(size, int) for size in sizes)


def remainder(places: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """n -> n, n: quotient and remainder, which ONNX's exporter lacks for sizes left open."""
    quotient = places // size
    return quotient, places - quotient * size


def coordinates(windows: Windows, device) -> tuple[Tensor, Tensor]:
    """-> (w m), (w m): the row and the column that lie in each place of the windows; those of padding lie beyond."""
    down, across = windows.sides
    # No axis is as long as one side has windows: an export would ask whether that is 1, and keep to the answer.
    number, within = remainder(torch.arange(down.whole * across.whole, device=device), down.reach * across.reach)
    (band, stack), (below, beside) = remainder(number, across.windows), remainder(within, across.reach)
    return down.token(band, below), across.token(stack, beside)


def window_partition(tokens: Tensor, windows: Windows) -> Tensor:
    """b (h w) d -> (b w) m d: zeros fill the last windows, and the image is rolled by the shift, then cut.

    Source: Swin's released code.
    """
    (rows, columns), (down, across) = windows.grid, windows.sides
    image = rearrange(tokens, "b (h w) d -> b h w d", h=rows)
    image = functional.pad(image, (0, 0, 0, across.whole - columns, 0, down.whole - rows))
    image = image.roll((-down.shift, -across.shift), dims=(1, 2))
    return rearrange(image, "b (h m1) (w m2) d -> (b h w) (m1 m2) d", m1=down.reach, m2=across.reach)


def window_reverse(inside: Tensor, windows: Windows) -> Tensor:
    """(b w) m d -> b (h w) d: the inverse."""
    (rows, columns), (down, across) = windows.grid, windows.sides
    counts = {"h": down.windows, "w": across.windows, "m1": down.reach}
    image = rearrange(inside, "(b h w) (m1 m2) d -> b (h m1) (w m2) d", **counts)
    image = image.roll((down.shift, across.shift), dims=(1, 2))[:, :rows, :columns]
    return rearrange(image, "b h w d -> b (h w) d")


def attention_mask(windows: Windows, dtype, device, images: int = 1) -> Tensor | None:
    """-> (b w) 1 m m, added to scores: 0, or the least number where two tokens must not see each other, because only
    the roll made them neighbors, or one is padding. None where all may."""
    if not windows.rolled and (windows.filled or not windows.mask_padding):
        return None
    (down, across), (row, column) = windows.sides, coordinates(windows, device)
    regions = 2 * (row < down.shift) + (column < across.shift)
    if windows.mask_padding:
        regions = regions.masked_fill((row >= windows.grid[0]) | (column >= windows.grid[1]), 4)
    regions = regions.repeat(images).unflatten(0, (images * down.windows * across.windows, down.reach * across.reach))
    apart = (regions[:, None, :, None] != regions[:, None, None, :]).to(dtype)
    return apart * torch.finfo(dtype).min


class WindowBias(RelativeBias):
    """-> 1 heads m m: the bias of each step within a window; a smaller window takes fewer steps of the same table."""

    def __init__(self, window: Grid, heads: int):
        super().__init__(window, 0, heads)
        self.kept: tuple[Tensor, Tensor | None, Grid, Tensor] | None = None  # of fast_windows.py

    def forward(self, grid: Grid) -> Tensor:
        return bias_of(self.table, step_index(grid, self.grid, self.table.device), learns=self.training)


def step_index(grid: Grid, whole: Grid, device=None) -> Tensor:
    """-> m m: for each pair of places in a window, the row that holds their step in the table of a `whole` one."""
    rows, columns = (torch.arange(side, device=device) for side in grid)
    down = rows[:, None] - rows + whole[0] - 1
    right = columns[:, None] - columns + whole[1] - 1
    index = down[:, None, :, None] * (2 * whole[1] - 1) + right[:, None]
    return index.flatten(2).flatten(0, 1)


def bias_of(table: Tensor, index: Tensor, *, learns: bool) -> Tensor:
    """steps heads, m m -> 1 heads m m"""
    bias = rearrange(table[index], "m k heads -> 1 heads m k")
    # Torch lays attention out in two ways for biases with and without gradients, and an export to ONNX asks twice.
    return bias.detach() if torch.compiler.is_exporting() and not learns else bias


def in_image(weights: Tensor, windows: Windows) -> Tensor:
    """(b w) heads m m -> b heads n n: attention of windows as that of the whole image, 0 across windows."""
    tokens = windows.grid[0] * windows.grid[1]
    numbers = torch.arange(1.0, 1 + tokens, dtype=torch.float64, device=weights.device)  # 0 is what padding has
    into = window_partition(numbers[None, :, None], windows)[..., 0].long()  # w m
    weights = rearrange(weights, "(b w) heads m k -> w m k b heads", w=into.shape[0])
    image = weights.new_zeros(1 + tokens, 1 + tokens, *weights.shape[-2:])
    image[into[:, :, None], into[:, None, :]] = weights
    return rearrange(image[1:, 1:], "n k b heads -> b heads n k")
