"""Geometric augmentation of whole batches: affine maps, of which each sample's own become one matrix that is sampled
once, and the operations of AutoAugment and its heirs, on bytes and in pixels as in Pillow.

An affine augmentation maps uniform numbers (b draws, from 0 to 1) and a strength to matrices (b 3 3) on coordinates
that run from -1 to 1 over the image, so that the same strength means the same at every resolution.
"""

from collections.abc import Callable

import numpy as np
import torch
from einops import rearrange, repeat
from torch import Tensor
from torch.nn import functional

FILL = 128.0  # what comes in from outside: the gray that normalizes to about zero


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


AFFINE_DRAWS = 2  # random numbers that each of them may use


def identity_matrices(count: int) -> Tensor:
    """-> b 3 3"""
    return repeat(torch.eye(3), "r c -> b r c", b=count).clone()


def shift_matrices(numbers: Tensor, strength: float) -> Tensor:
    """b 2 -> b 3 3: move by up to `strength` of the width and of the height, either way."""
    matrices = identity_matrices(len(numbers))
    matrices[:, :2, 2] = (2 * numbers - 1) * 2 * strength
    return matrices


def rotation_matrices(numbers: Tensor, strength: float) -> Tensor:
    """b 2 -> b 3 3: turn by up to `strength` degrees, either way."""
    angles = torch.deg2rad((2 * numbers[:, 0] - 1) * strength)
    matrices = identity_matrices(len(numbers))
    matrices[:, 0, 0] = matrices[:, 1, 1] = torch.cos(angles)
    matrices[:, 0, 1] = -torch.sin(angles)
    matrices[:, 1, 0] = torch.sin(angles)
    return matrices


def zoom_matrices(numbers: Tensor, strength: float) -> Tensor:
    """b 2 -> b 3 3: enlarge or shrink by a factor of up to 1 + `strength`, uniform in its logarithm."""
    matrices = identity_matrices(len(numbers))
    factors = (1 + strength) ** (2 * numbers[:, 0] - 1)
    matrices[:, 0, 0] = matrices[:, 1, 1] = factors
    return matrices


def shear_matrices(numbers: Tensor, strength: float) -> Tensor:
    """b 2 -> b 3 3: slant columns by up to `strength` of the height, either way."""
    matrices = identity_matrices(len(numbers))
    matrices[:, 0, 1] = (2 * numbers[:, 0] - 1) * strength
    return matrices


AFFINE: dict[str, Callable[[Tensor, float], Tensor]] = {
    "shift": shift_matrices,
    "rotate": rotation_matrices,
    "zoom": zoom_matrices,
    "shear": shear_matrices,
}


def apply_affine(pixels: Tensor, matrices: Tensor) -> Tensor:
    """b c h w, b 3 3 -> b c h w: each output pixel looks up where its matrix sends it; outside all is 0 (black)."""
    height, width = pixels.shape[-2:]
    # A wide image must turn in pixels, not in the square from -1 to 1: go to pixels and back.
    sides = torch.tensor([width, height], dtype=torch.float32).to(matrices.device, non_blocking=True)
    turns, shifts = matrices[:, :2, :2] * sides / sides[:, None], matrices[:, :2, 2:]
    grid = functional.affine_grid(torch.cat([turns, shifts], dim=2), list(pixels.shape), align_corners=False)
    return functional.grid_sample(pixels, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
