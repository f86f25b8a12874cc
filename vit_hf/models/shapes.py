"""Sizes as plain numbers, the words of every configuration, and the letters of every shape in this folder.

b  images of a batch      n  tokens             p  pixels along a patch's side
c  channels               d  width of a token   m  patches along a window's side
t  frames                 e  width of a head    h, w  rows and columns of the grid of patches
"""

from collections.abc import Sequence
from typing import Literal

try:  # in the package: the class by which the command line knows a user's mistake
    if not __name__.startswith("vit_hf."):
        raise ImportError
    from vit_hf.errors import UserError  # pyright: ignore[reportAssignmentType]
except ImportError:
    if __name__.startswith("vit_hf."):
        raise

    class UserError(ValueError):
        """A value that the caller can mend; the message says which, why, and what would do."""


Size = int | list[int] | tuple[int, ...]


def pair(size: int | Sequence[int]) -> tuple[int, int]:
    """One number, or [height, width], as (height, width)."""
    if isinstance(size, int):
        return size, size
    height, width = size
    return height, width


PartialPatches = Literal["refuse", "cut"]


def grid_of(
    image_size: int | Sequence[int], patch_size: int | Sequence[int], partial_patches: PartialPatches = "refuse"
) -> tuple[int, int]:
    """(rows, columns) of whole patches in an image; both sizes in pixels.

    Raises: UserError if a side of the image is not a whole number of patches, and the rest is not cut, or all of it.
    """
    sides = zip(pair(image_size), pair(patch_size), strict=True)
    rows, columns = (patches_along(side, patch, cut=partial_patches == "cut") for side, patch in sides)
    return rows, columns


def patches_along(side: int, patch: int, *, cut: bool) -> int:
    if (not cut or side < patch) and (rest := side % patch):
        smaller, larger = side - rest, side - rest + patch
        nearest = f"{smaller} or {larger}" if smaller else f"{larger}"
        raise UserError(f"{side} pixels do not divide into patches of {patch}; the nearest that do are {nearest}.")
    return side // patch


PatchEmbedding = Literal["linear", "conv"]
PositionEmbedding = Literal["learned", "embedding", "sincos_2d", "rotary", "relative_bias", "none"]
PositionEmbeddingInit = Literal["trunc_normal", "normal"]
Pooling = Literal["cls", "cls_mean", "mean", "mean_all", "attention", "attention_patches"]
FinalNorm = Literal["tokens", "pooled", "none"]
HiddenAct = Literal["gelu", "gelu_pytorch_tanh", "gelu_new", "quick_gelu", "relu", "silu", "swish", "mish", "tanh"]
