"""The processor of images or videos that belongs to a model: saved beside the weights, it does what training did."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

from PIL.Image import Resampling
from transformers.image_processing_backends import PilBackend
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

from ...errors import UserError
from ...files import read_json
from ...models.frame_sampling import Sampling
from ...models.image_processing_vit import VisionTransformerImageProcessor
from ...models.shapes import Size, pair
from ...models.video_processing_timesformer import TimeSformerVideoProcessor

Fit = Literal["squash", "crop", "pad"]
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
    fit: Fit | None = None,
    crop_pct: float | None = None,
    pad_color: Sequence[int] | None = None,
    pixel_range: Sequence[float] | None = None,
    interpolation: str = "bicubic",
) -> PilBackend:
    """images -> pixel_values b c h w, as the model of `config` wants them.

    mean, std: for each channel, of pixels from 0 to 1; or one number three times over, whatever the channels.
    fit: "squash" squeezes the whole image into the model's size; without a pixel_range this is plain JSON that
        transformers alone reads, and the code of all other processors travels with the model. "crop" and "pad" keep
        its shape: the one covers the size divided by crop_pct, and the middle is cut out; the other puts a border of
        pad_color (a byte for each channel; None: the mean) around the image. All as in timm. None is squash, or crop
        where there is a crop_pct.
    pixel_range: the numbers that are black and white in images of 16 bits, integers or floats.
    interpolation: a word of `INTERPOLATIONS`.

    Raises: UserError for another word, a share that is none, and numbers that do not fit the channels.
    """
    arithmetic = arithmetic_of(config, mean, std, interpolation)
    fit = chosen_fit(fit, crop_pct, pad_color) or "squash"
    if fit == "squash" and pixel_range is None:
        return ViTImageProcessorPil(size=model_size(config), **arithmetic)
    return VisionTransformerImageProcessor(
        **sizing_of(config, fit, crop_pct, pad_color, arithmetic["image_mean"]),
        **({} if pixel_range is None else {"pixel_range": list(pixel_range)}),
        **arithmetic,
    )


def chosen_fit(fit: Fit | None, crop_pct: float | None, pad_color: Sequence[int] | None) -> Fit | None:
    """The same, or "crop" where a share says so. Raises: UserError where two of them contradict each other."""
    if fit not in (None, *get_args(Fit)):
        raise UserError(f"fit={fit!r} is none of {', '.join(get_args(Fit))}.")
    if crop_pct is not None and fit not in (None, "crop"):
        raise UserError(
            f"crop_pct={crop_pct} is the share of an image that is cut out, and fit={fit!r} cuts nothing; leave "
            "crop_pct out, or say fit: crop."
        )
    if pad_color is not None and fit != "pad":
        raise UserError(f"pad_color={list(pad_color)} is for a border, which fit: pad puts around images; say both.")
    return "crop" if crop_pct is not None else fit


def model_size(config: ImageConfig) -> dict[str, int]:
    height, width = pair(config.image_size)
    return {"height": height, "width": width}


def sizing_of(
    config: ImageConfig, fit: Fit, crop_pct: float | None, pad_color: Sequence[int] | None, mean: Sequence[float]
) -> dict[str, Any]:
    """What one of our processors does to the size of an image."""
    if fit == "crop":
        return cutting(config, 1.0 if crop_pct is None else crop_pct)
    whole = {"size": model_size(config), "do_center_crop": False, "fit": fit}
    if fit == "squash":
        return whole
    if pad_color is None:
        return {**whole, "pad_color": [min(255, max(0, round(255 * value))) for value in mean]}
    if any(not 0 <= value <= 255 for value in pad_color):
        raise UserError(f"pad_color={list(pad_color)}: a color is a number from 0 to 255 for each channel.")
    return {**whole, "pad_color": [int(value) for value in for_each_channel("pad_color", pad_color, len(mean))]}


def make_video_processor(
    config: ClipConfig,
    *,
    mean: Sequence[float] = (0.45, 0.45, 0.45),
    std: Sequence[float] = (0.225, 0.225, 0.225),
    fit: Fit | None = None,
    crop_pct: float | None = None,
    pad_color: Sequence[int] | None = None,
    pixel_range: Sequence[float] | None = None,
    interpolation: str = "bilinear",
    sampling: Sampling = "uniform",
    sampling_rate: int = 32,
    frames: str | None = None,
) -> TimeSformerVideoProcessor:
    """videos -> pixel_values b t c h w, as the model of `config` wants them.

    All but sampling: as for images; but fit: None is crop, and crop_pct: None is 1.0: frames keep their shape, and the
    largest middle that has the model's is cut out. sampling, sampling_rate: which frames, as `choose_frames` says.
    frames: which files of a folder are frames, as `frames_among` says.

    Raises: as `make_image_processor`.
    """
    clips: dict[str, Any] = {"num_frames": config.num_frames, "sampling": sampling, "sampling_rate": sampling_rate}
    clips |= {} if frames is None else {"frames": frames}
    arithmetic = arithmetic_of(config, mean, std, interpolation)
    fit = chosen_fit(fit, crop_pct, pad_color) or "crop"
    sizing = sizing_of(config, fit, crop_pct, pad_color, arithmetic["image_mean"])
    if pixel_range is not None:
        clips["pixel_range"] = list(pixel_range)
    return TimeSformerVideoProcessor(**clips, **sizing, **arithmetic)


def own_processor(folder: Path) -> VisionTransformerImageProcessor | None:
    """The processor of a saved model where it is ours, from the code that is installed; None for any other.

    Raises: ValueError for a file that is no JSON.
    """
    file = folder / "preprocessor_config.json"
    if not file.is_file() or VisionTransformerImageProcessor.__name__ not in file.read_text(encoding="utf-8"):
        return None
    said = read_json(file)
    if said.get("image_processor_type") != VisionTransformerImageProcessor.__name__:
        return None
    return VisionTransformerImageProcessor.from_pretrained(folder)


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
    return {"size": covered_size(**model_size(config), crop_pct=crop_pct), "crop_size": model_size(config)}


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
