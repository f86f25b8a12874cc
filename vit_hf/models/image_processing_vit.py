"""How an image comes into the model's size: squeezed, or in its own shape, with its middle cut out or a border added.

transformers' own processors shift such a crop by a pixel in one image of four, because they round half pixels down.
They know no border that keeps an image in the middle, and make of more than eight bits what is nearly black or white.
"""

from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers.image_processing_backends import PilBackend
from transformers.image_utils import SizeDict
from transformers.processing_utils import ImagesKwargs

from .image_files import flattened, in_eight_bits
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


def fitting(height: int, width: int, box: tuple[int, int]) -> tuple[int, int]:
    """(height, width) of the largest image of the same shape within a box, a pixel at least. Source: as `covering`."""
    ratio = max(height / box[0], width / box[1])
    return max(1, round(height / ratio)), max(1, round(width / ratio))


def within(length: int, wanted: int) -> slice:
    """Where `wanted` pixels lie in the middle of `length`; half a pixel is rounded down, as in timm's border."""
    return slice((length - wanted) // 2, (length - wanted) // 2 + wanted)


class VisionTransformerImageProcessorKwargs(ImagesKwargs, total=False):
    """What may be said of our images, beside what transformers knows."""

    fit: str | None
    pad_color: list[int] | tuple[int, ...] | None
    pixel_range: list[float] | tuple[float, ...] | None


class VisionTransformerImageProcessor(PushedProcessor, PilBackend):
    """An image, or several of them -> pixel_values b c h w: resized, cut or padded, and normalized.

    fit: "crop" covers `size`, and `crop_size` is cut out of the middle; "pad" is fitted into `size`, with a border of
        `pad_color` around it (a byte for each channel); "squash" is squeezed into it.
    size: {"height": ..., "width": ...}; to crop also {"shortest_edge": pixels}.
    pixel_range: the numbers that are black and white in images of 16 bits, integers or floats; None: 0 to 65535, and
        of floats 0 to 1. Arrays of anything but bytes are read so too where it is given.
    All else is as in transformers' ViTImageProcessor, on PIL. Equal to timm's evaluation transform (crop_mode
    "center", "border" or "squash") to the pixel.
    """

    valid_kwargs = VisionTransformerImageProcessorKwargs
    do_resize = True
    do_center_crop = True
    do_rescale = True
    do_normalize = True
    fit = "crop"
    pad_color = None
    pixel_range = None

    def process_image(self, image: Any, *args: Any, pixel_range: Any = None, **options: Any) -> Any:
        """An image or an array -> c h w, bytes"""
        if isinstance(image, Image.Image):
            image = flattened(image, pixel_range)
        elif pixel_range is not None and isinstance(image, np.ndarray | torch.Tensor):
            values = np.asarray(image)
            image = values if values.dtype == np.uint8 else in_eight_bits(values, pixel_range)
        return super().process_image(image, *args, **options)

    def _preprocess(self, images: Any, *, fit: str | None = None, pad_color: Any = None, **options: Any) -> Any:
        """c h w, several -> pixel_values b c h w"""
        if fit not in ("crop", "pad", "squash"):
            raise UserError(f"fit={fit!r} is none of crop, pad, squash.")
        size = options["size"]
        if fit == "pad" and not (size.height and size.width):
            raise UserError(f"size={dict(size)} must say its height and its width, into which an image is padded.")
        if options["do_resize"] and fit != "squash" and size.height and size.width:
            box = (size.height, size.width)
            sized = covering if fit == "crop" else fitting
            found = [sized(image.shape[-2], image.shape[-1], box) for image in images]
            images = [
                self.resize(image, SizeDict(height=height, width=width), resample=options["resample"])
                for image, (height, width) in zip(images, found, strict=True)
            ]
            options["do_resize"] = False
            if fit == "pad":
                images = [bordered(image, box, pad_color) for image in images]
        return super()._preprocess(images, **options)

    def center_crop(self, image: Any, size: SizeDict, **options: Any) -> Any:
        """c h w -> c H W"""
        if size.height is None or size.width is None:
            raise UserError(f"crop_size={dict(size)} must say its height and its width.")
        return image[..., middle(image.shape[-2], size.height), middle(image.shape[-1], size.width)]


def bordered(image: np.ndarray, box: tuple[int, int], color: Any) -> np.ndarray:
    """c h w -> c H W: the image in the middle of a box of one color, a number for each channel; None is black."""
    channels, height, width = image.shape
    whole = np.empty((channels, *box), image.dtype)
    whole[:] = np.reshape([0] * channels if color is None else color, (-1, 1, 1))
    whole[:, within(box[0], height), within(box[1], width)] = image
    return whole


VisionTransformerImageProcessor.register_for_auto_class("AutoImageProcessor")
