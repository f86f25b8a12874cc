"""The middle of an image, cut out as timm and torchvision cut it.

transformers' own processors shift such a crop by a pixel in one image of four, because they round half pixels down.
"""

from typing import Any

from transformers.image_processing_backends import PilBackend
from transformers.image_utils import SizeDict

from .shapes import UserError

try:  # in the package: a card on every push
    if not __name__.startswith("vit_hf."):
        raise ImportError
    from vit_hf.completion.loading import PushedProcessor  # pyright: ignore[reportAssignmentType]
except ImportError:
    if __name__.startswith("vit_hf."):
        raise  # a circle of imports, which must not pass for a machine without the package

    class PushedProcessor:
        """Without the package a processor is pushed by transformers alone."""


def middle(length: int, wanted: int) -> slice:
    """Where the middle `wanted` of `length` pixels lie. Half a pixel is rounded to the even number, as in torchvision.

    Raises: UserError where the image is smaller than its middle.
    """
    if wanted > length:
        raise UserError(
            f"{wanted} pixels cannot be cut out of {length}; resize to at least {wanted} first (do_resize=True)."
        )
    start = round((length - wanted) / 2)
    return slice(start, start + wanted)


def covering(height: int, width: int, box: tuple[int, int]) -> tuple[int, int]:
    """(height, width) of the smallest image of the same shape that covers a box. Source: timm's ResizeKeepRatio."""
    ratio = min(height / box[0], width / box[1])
    return round(height / ratio), round(width / ratio)


class VisionTransformerImageProcessor(PushedProcessor, PilBackend):
    """An image, or several of them -> pixel_values b c h w: covered, cut, and normalized.

    size: {"shortest_edge": pixels}, or {"height": ..., "width": ...} of a box that the resized image must cover.
    crop_size: what is cut out of the middle. All else is as in transformers' ViTImageProcessor, on PIL.
    Equal to timm's evaluation transform (crop_mode "center") to the pixel.
    """

    do_resize = True
    do_center_crop = True
    do_rescale = True
    do_normalize = True

    def resize(self, image: Any, size: SizeDict, *args: Any, **options: Any) -> Any:
        """c h w -> c H W"""
        if size.height and size.width:
            height, width = covering(*image.shape[-2:], box=(size.height, size.width))
            size = SizeDict(height=height, width=width)
        return super().resize(image, size, *args, **options)

    def center_crop(self, image: Any, size: SizeDict, **options: Any) -> Any:
        """c h w -> c H W"""
        if size.height is None or size.width is None:
            raise UserError(f"crop_size={dict(size)} must say its height and its width.")
        return image[..., middle(image.shape[-2], size.height), middle(image.shape[-1], size.width)]


VisionTransformerImageProcessor.register_for_auto_class("AutoImageProcessor")
