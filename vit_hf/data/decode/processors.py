"""The processor of images or videos that belongs to a model: saved beside the weights, it does what training did."""

import math
from collections.abc import Sequence
from typing import Any, Protocol

from PIL.Image import Resampling
from transformers.image_processing_backends import PilBackend
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

from ...errors import UserError
from ...models.image_processing_vit import VisionTransformerImageProcessor
from ...models.shapes import Size, pair
from ...models.video_frames import Sampling
from ...models.video_processing_timesformer import TimeSformerVideoProcessor

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


class ClipConfig(ImageConfig, Protocol):
    """What a processor of videos must know of a model."""

    num_frames: int


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

    Raises: UserError for another word, a share that is none, and means that do not fit the channels.
    """
    arithmetic = arithmetic_of(config, mean, std, interpolation)
    if crop_pct is None:
        height, width = pair(config.image_size)
        return ViTImageProcessorPil(size={"height": height, "width": width}, **arithmetic)
    return VisionTransformerImageProcessor(**cutting(config, crop_pct), **arithmetic)


def make_video_processor(
    config: ClipConfig,
    *,
    mean: Sequence[float] = (0.45, 0.45, 0.45),
    std: Sequence[float] = (0.225, 0.225, 0.225),
    crop_pct: float | None = None,
    interpolation: str = "bilinear",
    sampling: Sampling = "uniform",
    sampling_rate: int = 32,
) -> TimeSformerVideoProcessor:
    """videos -> pixel_values b t c h w, as the model of `config` wants them.

    mean, std, interpolation: as for images. crop_pct: None is 1.0: frames keep their shape, and the largest middle that
    has the model's is cut out. sampling, sampling_rate: which frames, as `choose_frames` says.

    Raises: as `make_image_processor`.
    """
    clips: dict[str, Any] = {"num_frames": config.num_frames, "sampling": sampling, "sampling_rate": sampling_rate}
    arithmetic = arithmetic_of(config, mean, std, interpolation)
    return TimeSformerVideoProcessor(**clips, **cutting(config, crop_pct or 1.0), **arithmetic)


def arithmetic_of(
    config: ImageConfig, mean: Sequence[float], std: Sequence[float], interpolation: str
) -> dict[str, Any]:
    """What any of our processors does to pixels."""
    if interpolation not in INTERPOLATIONS:
        raise UserError(f"interpolation={interpolation!r} is none of {', '.join(INTERPOLATIONS)}.")
    return {
        "resample": INTERPOLATIONS[interpolation],
        "image_mean": for_each_channel("mean", mean, config.num_channels),
        "image_std": for_each_channel("std", std, config.num_channels),
        "do_convert_rgb": config.num_channels == 3,
    }


def cutting(config: ImageConfig, crop_pct: float) -> dict[str, Any]:
    """How a processor covers the model's size, and cuts it out of the middle."""
    height, width = pair(config.image_size)
    return {
        "size": covered_size(height, width, crop_pct),
        "crop_size": {"height": height, "width": width},
    }


def covered_size(height: int, width: int, crop_pct: float) -> dict[str, int]:
    """What an image is resized to before its middle, of `height` x `width` pixels, is cut out."""
    if not 0 < crop_pct <= 1:
        raise UserError(
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
    raise UserError(f"{name}={list(values)} has {len(values)} numbers for {channels} channels; give {channels}.")
