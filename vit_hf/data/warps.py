"""The geometric operations of AutoAugment and its heirs, on whole batches of bytes, in pixels as in Pillow."""

import numpy as np
import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional

FILL = 128.0  # what comes in from outside: the grey that normalises to about zero


def warp(pixels: Tensor, matrices: Tensor, *, fill: float = FILL) -> Tensor:
    """b c h w, b 2 3 -> b c h w: each output pixel looks up where its matrix sends it, between four pixels.

    A matrix acts on (x, y, 1) in pixels from the upper left corner; the first pixel's middle is (0.5, 0.5).
    """
    height, width = pixels.shape[-2:]
    middles = [torch.arange(side, device=pixels.device) + 0.5 for side in (width, height)]
    grid = torch.empty(len(pixels), height, width, 2, device=pixels.device)
    # Written out rather than as a matrix product, whose rounding may depend on how many images are in the batch.
    for place, side in enumerate((width, height)):
        along_x, along_y, moved = (rearrange(column, "b -> b 1") for column in matrices[:, place].unbind(1))
        row = (along_x * middles[0] + moved) * (2 / side) - 1
        column = (along_y * middles[1]) * (2 / side)
        torch.add(rearrange(row, "b w -> b 1 w"), rearrange(column, "b h -> b h 1"), out=grid[..., place])
    moved = functional.grid_sample(pixels.float().sub_(fill), grid, mode="bilinear", align_corners=False)
    return moved.add_(fill + 0.5).short().to(torch.uint8)


def identities(like: Tensor) -> Tensor:
    """b -> b 2 3"""
    return torch.eye(2, 3, device=like.device).repeat(len(like), 1, 1)


def shear_x(pixels: Tensor, amounts: Tensor) -> Tensor:
    """b c h w, b -> b c h w: each row begins `amounts` further right in the original than the row above it."""
    matrices = identities(amounts)
    matrices[:, 0, 1] = amounts
    return warp(pixels, matrices)


def shear_y(pixels: Tensor, amounts: Tensor) -> Tensor:
    """b c h w, b -> b c h w: as `shear_x`, for columns"""
    matrices = identities(amounts)
    matrices[:, 1, 0] = amounts
    return warp(pixels, matrices)


def translate_x(pixels: Tensor, amounts: Tensor) -> Tensor:
    """b c h w, b -> b c h w: by so many whole pixels to the left"""
    moved = torch.full_like(pixels, int(FILL))
    width = pixels.shape[-1]
    for row, amount in enumerate(amounts.int().tolist()):
        by = max(-width, min(width, amount))
        moved[row, :, :, max(0, -by) : width - max(0, by)] = pixels[row, :, :, max(0, by) : width - max(0, -by)]
    return moved


def translate_y(pixels: Tensor, amounts: Tensor) -> Tensor:
    """b c h w, b -> b c h w: by so many whole pixels up"""
    return translate_x(pixels.mT, amounts).mT.contiguous()


def rotate(pixels: Tensor, degrees: Tensor) -> Tensor:
    """b c h w, b -> b c h w: about the middle, against the clock"""
    angles = degrees * (np.pi / 180)
    cosine, sine = torch.cos(angles), torch.sin(angles)
    middle_x, middle_y = pixels.shape[-1] / 2, pixels.shape[-2] / 2
    rows = [
        torch.stack([cosine, -sine, middle_x - cosine * middle_x + sine * middle_y], dim=1),
        torch.stack([sine, cosine, middle_y - sine * middle_x - cosine * middle_y], dim=1),
    ]
    return warp(pixels, torch.stack(rows, dim=1))
