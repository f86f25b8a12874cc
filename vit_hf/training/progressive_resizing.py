"""Training on small images first: a step on half the side costs a quarter, and what it teaches holds for the whole.

Source: progressive resizing as in fastai (DAWNBench, 2018), in the words of MosaicML's Composer.
"""

from collections.abc import Sequence

from torch import Tensor

from ..errors import UserError
from ..models.positions import resize_matrix
from ..models.shapes import pair
from .recipe.optimization import ProgressiveResizingSettings


def scale_at(share: float, settings: ProgressiveResizingSettings) -> float:
    """Of a side, once a `share` of the steps is done: `initial_scale` during the delay, then more by and by, 1 at the
    end."""
    begin, end = settings.delay_fraction, 1 - settings.finetune_fraction
    if share >= end:
        return 1.0
    if share <= begin:
        return settings.initial_scale
    return settings.initial_scale + (1 - settings.initial_scale) * (share - begin) / (end - begin)


def size_at(share: float, height: int, width: int, settings: ProgressiveResizingSettings) -> tuple[int, int]:
    """In pixels: multiples of `size_increment`, and the whole size at the end, whatever that is."""
    scale, step = scale_at(share, settings), settings.size_increment
    if scale == 1:
        return height, width
    small, across = (min(side, max(step, round(side * scale / step) * step)) for side in (height, width))
    return small, across


def resized(pixels: Tensor, share: float, settings: ProgressiveResizingSettings) -> Tensor:
    """b ... c h w -> b ... c H W: as large as they are once a `share` of the steps is done."""
    height, width = pixels.shape[-2:]
    return resize_batch(pixels, size_at(share, height, width, settings))


def resize_batch(pixels: Tensor, size: tuple[int, int]) -> Tensor:
    """... h w -> ... H W: between pixels and with antialias, as images are made smaller."""
    if pixels.shape[-2:] == size:
        return pixels
    # As products with matrices: of a batch, torch's own kernel computes one image after the other on a GPU.
    old = pixels.shape[-2:]
    down, across = (resize_matrix(one, other, pixels, "bilinear") for one, other in zip(old, size, strict=True))
    return down @ (pixels @ across.T)


def refuse_unfit(settings: ProgressiveResizingSettings, patch_size: int | Sequence[int]) -> None:
    """Raises: UserError for sizes that do not divide into patches."""
    for side in pair(patch_size):
        if settings.size_increment % side:
            raise UserError(
                f"optimization.progressive_resizing: size_increment {settings.size_increment} does not divide into "
                f"patches of {side} pixels; give a multiple of {side}."
            )
