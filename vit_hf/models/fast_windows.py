"""What only saves time in windows. A reader may skip this file: windows.py has the plain forms, which `plain_forms` of
fast_paths.py brings back.

The tokens of windows are looked up in tables, in place of being padded, rolled and cut. The numbers are the same.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from .fast_groups import attend_in_groups
from .fast_paths import enabled, recording
from .positions import Grid
from .windows import Windows, attention_mask, coordinates, fixed, remainder, window_partition, window_reverse


class WindowTables(NamedTuple):
    """Windows, and where each token of the grid lies in the w of them with m places.

    into: (w m), the token in each place; the number of tokens stands for padding. None where nothing moves.
    back: h w, the place of each token.
    mask: as `attention_mask` gives it; a compiled one is written out for each image, (b w) 1 m m.
    split: (three heads w m), of queries, keys and values by token and head, those of each head by place.
    join: (h w heads), the way back for what heads make of the values.
    """

    windows: Windows
    into: Tensor | None
    back: Tensor | None
    mask: Tensor | None
    split: Tensor
    join: Tensor

    @property
    def shape(self) -> Grid:
        """(rows, columns) of a window."""
        return self.windows.shape


KEPT: dict[tuple, WindowTables] = {}


def tables_of(windows: Windows, heads: int, like: Tensor) -> WindowTables:
    """The tables of windows, for scores of the dtype and device of `like`; kept, since every image of a size has them.

    like: tokens b n d. A graph is given new ones, which compilers make constants. Others' copies outlive no mode of
    autograd.
    """
    settings = (windows, heads, like.dtype, like.device)
    if recording() or type(like) is not Tensor:
        return build_tables(*settings, images=like.shape[0])
    if settings not in KEPT:
        if len(KEPT) >= 256:  # of images that all differ in size
            KEPT.clear()
        with torch.inference_mode(False):
            KEPT[settings] = build_tables(*settings)
    return KEPT[settings]


def build_tables(windows: Windows, heads: int, dtype, device, images: int = 1) -> WindowTables:
    """Of sizes that an export leaves open nothing is decided: what moves nothing is then looked up all the same."""
    rows, columns = windows.grid
    down, across = windows.sides
    row, column = coordinates(windows, device)
    into = (row * columns + column).masked_fill((row >= rows) | (column >= columns), rows * columns)
    row_of, column_of = remainder(torch.arange(rows * columns, device=device), columns)
    (band, below), (stack, beside) = down.place(row_of), across.place(column_of)
    back = ((band * across.windows + stack) * down.reach + below) * across.reach + beside
    of_head = torch.arange(3 * heads, device=device)
    split = (into * (3 * heads) + of_head[:, None]).flatten()
    join = (back[:, None] + of_head[:heads] * into.shape[0]).flatten()
    if windows.unmoved:
        return WindowTables(windows, None, None, None, split, join)
    return WindowTables(windows, into, back, attention_mask(windows, dtype, device, images), split, join)


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
    if torch.is_grad_enabled() and tokens.requires_grad and not recording():
        return Move.apply(tokens, index, back)  # pyright: ignore[reportReturnType]
    return pick(tokens, index)


def into_windows(tokens: Tensor, tables: WindowTables) -> tuple[Tensor, Tensor | None]:
    """b (h w) d -> (b w) m d, and the mask (b w) 1 m m: `window_partition` and `attention_mask`."""
    images, size = tokens.shape[0], tables.shape[0] * tables.shape[1]
    if not enabled():
        mask = attention_mask(tables.windows, tokens.dtype, tokens.device, images)
        return window_partition(tokens, tables.windows), mask
    # In two steps, so that an export need not know whether an image has more than one window.
    inside = move(tokens, tables.into, tables.back).flatten(0, 1).unflatten(0, (-1, size))
    mask = tables.mask
    if mask is not None and mask.shape[0] != inside.shape[0]:
        mask = mask.repeat(images, 1, 1, 1)
    return inside, mask


def out_of_windows(inside: Tensor, tables: WindowTables, images: int) -> Tensor:
    """(b w) m d -> b (h w) d: `window_reverse`."""
    if not enabled():
        return window_reverse(inside, tables.windows)
    return move(inside.flatten(0, 1).unflatten(0, (images, -1)), tables.back, tables.into)


def bias_and_mask(bias: Any, mask: Tensor | None, grid: Grid) -> Tensor:
    """w 1 m m -> heads w m m: both as one term, without gradients; that of a table is kept for as long as it holds."""
    if (kept := getattr(bias, "kept", None)) is not None:
        table, with_mask, of_grid, term = kept
        alike = table.dtype == bias.table.dtype and table.device == bias.table.device
        # By value, because a table can be written to without anyone being told.
        if with_mask is mask and of_grid == grid and alike and torch.equal(table, bias.table):
            return term
    term = bias(grid)[0][:, None]
    term = (term if mask is None else term + mask[:, 0]).contiguous()
    if hasattr(bias, "kept"):
        bias.kept = (bias.table.detach().clone(), mask, grid, term)
    return term


def writes_out_attention(attention: Any, tokens: Tensor) -> bool:
    """Whether torch's own attention is slower than what it is written out as: on a CPU, where it has no kernel for
    biases that learn, and one for longer sequences where they do not."""
    if not enabled() or tokens.device.type != "cpu" or attention.config._attn_implementation != "sdpa":
        return False
    if recording() or torch.is_autocast_enabled("cpu"):
        return False
    return tokens.dtype in (torch.float32, torch.float64)


def attends_image_by_image(attention: Any, tokens: Tensor, output_attentions: bool) -> bool:
    """Whether `attend_image_by_image` serves: on a CPU that does not learn, where nobody asks for weights."""
    learns = torch.is_grad_enabled() or (attention.training and attention.dropout_rate > 0)
    return not (output_attentions or learns) and writes_out_attention(attention, tokens)


def attend_image_by_image(attention: Any, tokens: Tensor, tables: WindowTables) -> Tensor:
    """b (h w) d -> b (h w) d: what the windows' attention mixes, before its output; an image at a time stays in a
    processor's cache."""
    heads, size = attention.heads, tables.shape[0] * tables.shape[1]
    padded = tables.into is not None and len(tables.into) > tokens.shape[1]
    tokens = functional.pad(tokens, (0, 0, 0, 1)) if padded else tokens
    parts = attention.qkv(tokens).unflatten(-1, (3 * heads, -1)).flatten(1, 2)  # b (n three heads) e
    term = bias_and_mask(attention.relative_bias, tables.mask, tables.shape)  # heads w m m
    mixed = tokens.new_empty(len(tokens), len(tables.split) // 3, parts.shape[-1])  # b (heads w m) e
    for image, place in zip(parts, mixed, strict=True):
        query, key, value = image.index_select(0, tables.split).unflatten(0, (3, heads, -1, size))  # heads w m e
        if attention.query_norm is not None:  # which takes w heads m e
            query = attention.query_norm(query.transpose(0, 1)).transpose(0, 1)
            key = attention.key_norm(key.transpose(0, 1)).transpose(0, 1)
        scores = query.mul_(attention.scaling) @ key.transpose(-1, -2)
        torch.matmul(scores.add_(term).softmax(dim=-1), value, out=place.view_as(value))
    return mixed.index_select(1, tables.join).unflatten(1, (-1, heads)).flatten(2)


def attend_in_windows(attention: Any, tokens: Tensor, tables: WindowTables) -> Tensor:
    """b (h w) d -> b (h w) d: as `attend_image_by_image`, by the kernel, which finds tokens where the image has them"""
    members, bias = tables.shape[0] * tables.shape[1], attention.relative_bias(tables.shape)[0]
    padded = tables.into is not None and tables.into.shape[0] != tokens.shape[1]
    inside = move(tokens, tables.into, tables.back) if padded else tokens
    mask = None if tables.mask is None else tables.mask[: inside.shape[1] // members, 0]
    mixed = attend_in_groups(attention, inside, members, bias, mask, None if padded else tables.into)
    return move(mixed, tables.back, tables.into) if padded else mixed
