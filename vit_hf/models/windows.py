"""Windows of a grid of patches: which token lies where in them, which see each other, and the bias of their steps."""

from typing import NamedTuple

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional

from .positions import Grid, RelativeBias, relative_index


class Windows(NamedTuple):
    """How a grid's tokens lie in w windows of m places each.

    into: (w m), the token in each place; the number of tokens stands for padding. None where nothing moves.
    back: h w, the place of each token.
    mask: w 1 m m, added to scores: 0, or the least number where two must not see each other. None where all may.
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

    Compilers are given new ones, which they make constants. Others' copies outlive no mode of autograd.
    """
    settings = (grid, window, heads, shifted, clamped, mask_padding, like.dtype, like.device)
    if torch.compiler.is_compiling() or type(like) is not Tensor:
        return build_windows(*settings)
    if settings not in KEPT:
        if len(KEPT) >= 256:  # of images that all differ in size
            KEPT.clear()
        with torch.inference_mode(False):
            KEPT[settings] = build_windows(*settings)
    return KEPT[settings]


def build_windows(
    grid: Grid, window: Grid, heads: int, shifted: bool, clamped: bool, mask_padding: bool, dtype, device
) -> Windows:
    """Windows of `window` patches or, where `clamped`, of a whole side that is no longer, which is then not shifted.

    The grid is padded at the bottom and the right, then rolled up and left by half a window; those that only the roll
    made neighbours do not see each other. Source: Swin (arXiv:2103.14030), section 3.2.
    """
    shape = (min(window[0], grid[0]), min(window[1], grid[1])) if clamped else window
    whole = [-(-side // reach) * reach for side, reach in zip(grid, shape, strict=True)]
    shifts = [shifted and (side > reach or not clamped) for side, reach in zip(grid, shape, strict=True)]
    shift = [reach // 2 if moves else 0 for moves, reach in zip(shifts, shape, strict=True)]
    rows, columns = ((torch.arange(side, device=device) + step) % side for side, step in zip(whole, shift, strict=True))
    outside = (rows >= grid[0])[:, None] | (columns >= grid[1])
    tokens = (rows[:, None] * grid[1] + columns).masked_fill(outside, grid[0] * grid[1])
    regions = 2 * (rows < shift[0])[:, None] + (columns < shift[1])
    if mask_padding:
        regions = regions.masked_fill(outside, 4)
    cut = {"m": shape[0], "k": shape[1]}
    into = rearrange(tokens, "(h m) (w k) -> (h w m k)", **cut)
    regions = rearrange(regions, "(h m) (w k) -> (h w) (m k)", **cut)
    back = into.argsort()[: grid[0] * grid[1]]
    split, join = head_rows(into, back, heads)
    if tuple(whole) == grid and shape[1] == grid[1] and not any(shift):
        return Windows(None, None, None, shape, split, join)
    mask = None
    if any(shift) or (mask_padding and tuple(whole) != grid):
        apart = (regions[:, None, :, None] != regions[:, None, None, :]).to(dtype)
        mask = apart * torch.finfo(dtype).min
    return Windows(into, back, mask, shape, split, join)


def head_rows(into: Tensor, back: Tensor, heads: int) -> tuple[Tensor, Tensor]:
    """(w m), h w -> (three heads w m), (h w heads)"""
    of_head = torch.arange(3 * heads, device=into.device)
    split = into * (3 * heads) + of_head[:, None]
    join = back[:, None] + of_head[:heads] * len(into)
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
    if index.shape[0] > tokens.shape[1]:
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
        down, right = (most - side for most, side in zip(self.grid, grid, strict=True))
        steps = self.table.unflatten(0, self.steps)
        steps = steps[down : self.steps[0] - down, right : self.steps[1] - right]  # those that the window has room for
        index = relative_index(grid, device=self.table.device)
        return rearrange(steps.flatten(0, 1)[index], "m k heads -> 1 heads m k")

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
