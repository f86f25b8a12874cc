"""Geometric augmentation of whole batches: every sample's moves become one matrix, sampled once.

A move maps uniform numbers (b draws, from 0 to 1) and a strength to matrices (b 3 3) on coordinates that run from
-1 to 1 over the image, so that the same strength means the same at every resolution.
"""

from collections.abc import Callable

import torch
from einops import repeat
from torch import Tensor
from torch.nn import functional

DRAWS = 2  # random numbers that each move may use


def identity(count: int) -> Tensor:
    """-> b 3 3"""
    return repeat(torch.eye(3), "r c -> b r c", b=count).clone()


def shift(numbers: Tensor, strength: float) -> Tensor:
    """b 2 -> b 3 3: move by up to `strength` of the width and of the height, either way."""
    matrices = identity(len(numbers))
    matrices[:, :2, 2] = (2 * numbers - 1) * 2 * strength
    return matrices


def rotate(numbers: Tensor, strength: float) -> Tensor:
    """b 2 -> b 3 3: turn by up to `strength` degrees, either way."""
    angles = torch.deg2rad((2 * numbers[:, 0] - 1) * strength)
    matrices = identity(len(numbers))
    matrices[:, 0, 0] = matrices[:, 1, 1] = torch.cos(angles)
    matrices[:, 0, 1] = -torch.sin(angles)
    matrices[:, 1, 0] = torch.sin(angles)
    return matrices


def zoom(numbers: Tensor, strength: float) -> Tensor:
    """b 2 -> b 3 3: enlarge or shrink by a factor of up to 1 + `strength`, uniform in its logarithm."""
    matrices = identity(len(numbers))
    factors = (1 + strength) ** (2 * numbers[:, 0] - 1)
    matrices[:, 0, 0] = matrices[:, 1, 1] = factors
    return matrices


def shear(numbers: Tensor, strength: float) -> Tensor:
    """b 2 -> b 3 3: slant columns by up to `strength` of the height, either way."""
    matrices = identity(len(numbers))
    matrices[:, 0, 1] = (2 * numbers[:, 0] - 1) * strength
    return matrices


MOVES: dict[str, Callable[[Tensor, float], Tensor]] = {
    "shift": shift,
    "rotate": rotate,
    "zoom": zoom,
    "shear": shear,
}


def move(pixels: Tensor, matrices: Tensor) -> Tensor:
    """b c h w, b 3 3 -> b c h w: each output pixel looks up where its matrix sends it; outside all is 0 (black)."""
    height, width = pixels.shape[-2:]
    # A wide image must turn in pixels, not in the square from -1 to 1: go to pixels and back.
    sides = torch.tensor([width, height], dtype=torch.float32, device=matrices.device)
    turns, shifts = matrices[:, :2, :2] * sides / sides[:, None], matrices[:, :2, 2:]
    grid = functional.affine_grid(torch.cat([turns, shifts], dim=2), list(pixels.shape), align_corners=False)
    return functional.grid_sample(pixels, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
