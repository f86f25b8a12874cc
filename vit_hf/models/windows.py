"""Windows of a grid of patches: which token lies where in them, which see each other, and the bias of their steps."""

from typing import NamedTuple

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional

from .positions import Grid, RelativeBias


class Windows(NamedTuple):
    """How a grid's tokens lie in w windows of m places each.

    into: (w m), the token in each place; the number of tokens stands for padding. None where nothing moves.
    back: h w, the place of each token.
    mask: w 1 m m, added to scores: 0, or the least number where two must not see each other. None where all may. A
        compiled one is written out for each image, (b w) 1 m m.
    shape: (rows, columns) of a window.
    split: (three heads w m), of queries, keys and values by token and head, those of each head by place.
    join: (h w heads), the way back for what heads make of the values.
    """

    into: Tensor | None
    back: Tensor | None
    mask: Tensor | None
    shape: Grid
    split: Tensor
    join: Tensor


KEPT: dict[tuple, Windows] = {}


def windows_of(
    grid: Grid, window: Grid, *, heads: int, shifted: bool, clamped: bool, mask_padding: bool, like: Tensor
) -> Windows:
    """The windows of a grid, for scores of the dtype and device of `like`; kept, since every image of a size has them.

    like: tokens b n d. Compilers are given new ones, which they make constants. Others' copies outlive no mode of
    autograd.
    """
    settings = (grid, window, heads, shifted, clamped, mask_padding, like.dtype, like.device)
    if torch.compiler.is_compiling() or type(like) is not Tensor:
        return build_windows(*settings, images=like.shape[0])
    if settings not in KEPT:
        if len(KEPT) >= 256:  # of images that all differ in size
            KEPT.clear()
        with torch.inference_mode(False):
            KEPT[settings] = build_windows(*settings)
    return KEPT[settings]


def build_windows(
    grid: Grid, window: Grid, heads: int, shifted: bool, clamped: bool, mask_padding: bool, dtype, device, images=1
) -> Windows:
    """Windows of `window` patches or, where `clamped`, of a whole side that is no longer, which is then not shifted.

    The grid is padded at the bottom and the right, then rolled up and left by half a window; those that only the roll
    made neighbors do not see each other. Of sizes that an export leaves open nothing is decided: what pads or moves
    nothing is then computed all the same. Source: Swin (arXiv:2103.14030), section 3.2.
    """
    down, across = (side_of(side, reach, clamped, shifted) for side, reach in zip(grid, window, strict=True))
    known, shape = fixed(*grid), (down.reach, across.reach)
    fills = known and (down.whole, across.whole) == grid
    moves = bool(down.shift or across.shift) if known else shifted
    # No axis is as long as one side has windows: an export would ask whether that is 1, and keep to the answer.
    number, within = divided(torch.arange(down.whole * across.whole, device=device), down.reach * across.reach)
    (band, stack), (below, beside) = divided(number, across.windows), divided(within, across.reach)
    row, column = down.token(band, below), across.token(stack, beside)
    outside = (row >= grid[0]) | (column >= grid[1])
    into = (row * grid[1] + column).masked_fill(outside, grid[0] * grid[1])
    row_of, column_of = divided(torch.arange(grid[0] * grid[1], device=device), grid[1])
    (band, below), (stack, beside) = down.place(row_of), across.place(column_of)
    back = ((band * across.windows + stack) * down.reach + below) * across.reach + beside
    split, join = head_rows(into, back, heads)
    if fills and across.windows == 1 and not moves:
        return Windows(None, None, None, shape, split, join)
    if not moves and (fills or not mask_padding):
        return Windows(into, back, None, shape, split, join)
    regions = 2 * (row < down.shift) + (column < across.shift)
    if mask_padding:
        regions = regions.masked_fill(outside, 4)
    windows, places = images * down.windows * across.windows, down.reach * across.reach
    regions = regions.repeat(images).unflatten(0, (windows, places))
    apart = (regions[:, None, :, None] != regions[:, None, None, :]).to(dtype)
    return Windows(into, back, apart * torch.finfo(dtype).min, shape, split, join)


def fixed(*sizes: int) -> bool:
    """Whether these are plain numbers, and none that an export leaves open."""
    return all(isinstance(size, int) for size in sizes)


def divided(places: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """n -> n, n: quotient and remainder, which ONNX's exporter lacks for sizes left open."""
    quotient = places // size
    return quotient, places - quotient * size


class Side(NamedTuple):
    """One side of a grid: the windows along it, how many tokens each reaches, and how far they are shifted."""

    windows: int
    reach: int
    shift: int

    @property
    def whole(self) -> int:
        return self.windows * self.reach

    def token(self, window: Tensor, place: Tensor) -> Tensor:
        """The row or column that lies in a place of a window; those beyond the grid are padding."""
        return divided(window * self.reach + place + self.shift, self.whole)[1]

    def place(self, token: Tensor) -> tuple[Tensor, Tensor]:
        """The inverse: the window of a row or column, and the place within."""
        return divided(divided(token + self.whole - self.shift, self.whole)[1], self.reach)


def side_of(side: int, window: int, clamped: bool, shifted: bool) -> Side:
    """The windows along a side; where clamped, one that covers the side is cut down to it, and not shifted."""
    reach = least(window, side) if clamped else window
    windows = (side - 1) // reach + 1
    shift = reach // 2 if shifted else 0
    return Side(windows, reach, least(shift, (windows - 1) * reach) if clamped else shift)


def least(one: int, other: int) -> int:
    """Of sizes that an export leaves open, too."""
    return torch.sym_min(one, other)  # pyright: ignore[reportReturnType] (of integers an integer)


def head_rows(into: Tensor, back: Tensor, heads: int) -> tuple[Tensor, Tensor]:
    """(w m), h w -> (three heads w m), (h w heads)"""
    of_head = torch.arange(3 * heads, device=into.device)
    split = into * (3 * heads) + of_head[:, None]
    join = back[:, None] + of_head[:heads] * into.shape[0]
    return split.flatten(), join.flatten()


class Move(torch.autograd.Function):
    """b n d, k, n -> b k d: the tokens that the first index names; gradients go back by the second.

    Autograd alone would add them up one by one, which is slow on a CPU and in no fixed order on a GPU.
    """

    @staticmethod
    def forward(tokens: Tensor, index: Tensor, back: Tensor) -> Tensor:
        return pick(tokens, index)

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:
        ctx.save_for_backward(inputs[2])

    @staticmethod
    def backward(ctx, gradient: Tensor):
        return pick(gradient, ctx.saved_tensors[0]), None, None


def pick(tokens: Tensor, index: Tensor) -> Tensor:
    """b n d, k -> b k d, zeros where an index is n."""
    if not fixed(index.shape[0]) or index.shape[0] > tokens.shape[1]:
        tokens = functional.pad(tokens, (0, 0, 0, 1))
    return tokens.index_select(1, index)


def move(tokens: Tensor, index: Tensor | None, back: Tensor | None) -> Tensor:
    """b n d -> b k d: the tokens in another order; `back` names for each of them its new place."""
    if index is None or back is None:
        return tokens
    # Compilers derive this by themselves.
    if torch.is_grad_enabled() and tokens.requires_grad and not torch.compiler.is_compiling():
        moved: Tensor = Move.apply(tokens, index, back)  # pyright: ignore[reportAssignmentType]
        return moved
    return pick(tokens, index)


class WindowBias(RelativeBias):
    """-> 1 heads m m: the bias of each step within a window; a smaller window takes fewer steps of the same table."""

    def __init__(self, window: Grid, heads: int):
        super().__init__(window, 0, heads)
        self.kept: tuple[Tensor, Tensor | None, Grid, Tensor] | None = None

    def forward(self, grid: Grid) -> Tensor:
        return bias_of(self.table, step_index(grid, self.grid, self.table.device), learns=self.training)

    def beside(self, mask: Tensor | None, grid: Grid) -> Tensor:
        """w 1 m m -> heads w m m: bias and mask as one term, without gradients; kept for as long as it holds."""
        if self.kept is not None:
            table, with_mask, of_grid, term = self.kept
            alike = table.dtype == self.table.dtype and table.device == self.table.device
            # By value, because a table can be written to without anyone being told.
            if with_mask is mask and of_grid == grid and alike and torch.equal(table, self.table):
                return term
        term = self(grid)[0][:, None]
        term = (term if mask is None else term + mask[:, 0]).contiguous()
        self.kept = (self.table.detach().clone(), mask, grid, term)
        return term


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


def placed(weights: Tensor, windows: Windows, tokens: int) -> Tensor:
    """(b w) heads m m -> b heads n n: attention of windows as that of the whole image, 0 across windows."""
    if windows.into is None:
        into = torch.arange(tokens, device=weights.device).unflatten(0, (-1, weights.shape[-1]))
    else:
        into = windows.into.unflatten(0, (-1, weights.shape[-1]))
    weights = rearrange(weights, "(b w) heads m k -> w m k b heads", w=into.shape[0])
    image = weights.new_zeros(tokens + 1, tokens + 1, *weights.shape[-2:])  # one more row and column for padding
    image[into[:, :, None], into[:, None, :]] = weights
    return rearrange(image[:-1, :-1], "n k b heads -> b heads n k")
