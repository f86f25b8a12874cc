"""The image processor that belongs to a model: it is saved beside the weights, and does what was done in training."""

import math
from collections.abc import Sequence
from typing import Protocol

from PIL.Image import Resampling
from transformers.image_processing_backends import PilBackend
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

from ..models.image_processing_vit import VisionTransformerImageProcessor
from ..models.shapes import Size, pair

INTERPOLATIONS = {
    "nearest": Resampling.NEAREST,
    "bilinear": Resampling.BILINEAR,
    "bicubic": Resampling.BICUBIC,
    "lanczos": Resampling.LANCZOS,
}


class ImageConfig(Protocol):
    """What a processor must know of a model."""

    image_size: Size
    num_channels: int


def make_image_processor(
    config: ImageConfig,
    *,
    mean: Sequence[float] = (0.5, 0.5, 0.5),
    std: Sequence[float] = (0.5, 0.5, 0.5),
    crop_pct: float | None = None,
    interpolation: str = "bicubic",
) -> PilBackend:
    """images -> pixel_values b c h w, as the model of `config` wants them.

    mean, std: for each channel, of pixels from 0 to 1; or one number three times over, whatever the channels.
    crop_pct: None squeezes the whole image into the model's size, and is plain JSON that transformers alone reads.
        From 0 to 1: the image keeps its shape, is made to cover the size divided by crop_pct, and its middle is cut
        out, as in timm; the processor's code then travels with the model.
    interpolation: a word of `INTERPOLATIONS`.

    Raises: ValueError for another word, a share that is none, and means that do not fit the channels.
    """
    if interpolation not in INTERPOLATIONS:
        raise ValueError(f"interpolation={interpolation!r} is none of {', '.join(INTERPOLATIONS)}.")
    height, width = pair(config.image_size)
    arithmetic = {
        "resample": INTERPOLATIONS[interpolation],
        "image_mean": for_each_channel("mean", mean, config.num_channels),
        "image_std": for_each_channel("std", std, config.num_channels),
        "do_convert_rgb": config.num_channels == 3,
    }
    if crop_pct is None:
        return ViTImageProcessorPil(size={"height": height, "width": width}, **arithmetic)
    return VisionTransformerImageProcessor(
        size=covered_size(height, width, crop_pct), crop_size={"height": height, "width": width}, **arithmetic
    )


def covered_size(height: int, width: int, crop_pct: float) -> dict[str, int]:
    """What an image is resized to before its middle, of `height` x `width` pixels, is cut out."""
    if not 0 < crop_pct <= 1:
        raise ValueError(
            f"crop_pct={crop_pct} must be a share of the image, greater than 0 and at most 1; "
            "None takes the image whole."
        )
    if height == width:
        return {"shortest_edge": math.floor(height / crop_pct)}
    return {"height": math.floor(height / crop_pct), "width": math.floor(width / crop_pct)}


def for_each_channel(name: str, values: Sequence[float], channels: int) -> list[float]:
    """As many values as channels."""
    if len(values) == channels:
        return list(values)
    if len(set(values)) == 1:
        return [values[0]] * channels
    raise ValueError(f"{name}={list(values)} has {len(values)} numbers for {channels} channels; give {channels}.")
