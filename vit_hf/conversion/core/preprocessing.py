"""How images are prepared for a model, and what its labels are called: timm's words and our image processor."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from PIL.Image import Resampling
from transformers.image_processing_backends import PilBackend

from ...data.decode.preparation import shares_arithmetic
from ...data.decode.processors import INTERPOLATIONS, make_image_processor, own_processor
from ...errors import UserError
from ...files import read_json
from ...modality import modality_of, modality_of_processor
from ...models.image_processing_vit import VisionTransformerImageProcessor
from ...models.shapes import Size, pair

PROCESSOR_FILES = ("video_preprocessor_config.json", "preprocessor_config.json")

# timm's own, where a pretrained_cfg is silent.
CROP_MODES = {"squash": "squash", "pad": "border"}  # timm's words for ours, where nothing is cut
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def processor_from_timm(pretrained_cfg: Mapping[str, Any], config: Any) -> tuple[Any, list[str]]:
    """-> the image processor that does what timm's evaluation transform does, and a line for what it cannot."""
    said, notes = pretrained_cfg.get, []
    interpolation, crop_mode, crop_pct = said("interpolation"), said("crop_mode") or "center", said("crop_pct")
    if interpolation not in (None, *INTERPOLATIONS):
        notes.append(f"interpolation={interpolation!r} becomes bicubic")
        interpolation = None
    if crop_mode not in ("center", *CROP_MODES.values()) or (crop_mode != "center" and (crop_pct or 1.0) != 1.0):
        notes.append(f"crop_mode={crop_mode!r} with crop_pct={crop_pct} becomes 'center'")
        crop_mode = "center"
    mean, std = said("mean") or MEAN, said("std") or STD
    return make_image_processor(
        config,
        mean=for_channels(mean, config.num_channels),
        std=for_channels(std, config.num_channels),
        fit="pad" if crop_mode == "border" else None,
        crop_pct=crop_pct or 0.875 if crop_mode == "center" else None,
        interpolation=interpolation or "bicubic",
    ), notes


def for_channels(values: Sequence[float], channels: int) -> list[float]:
    """As many numbers as channels: their mean for gray images, else repeated, as the patches' weights are."""
    if channels == 1:
        return [sum(values) / len(values)]
    return [values[channel % len(values)] for channel in range(channels)]


def preprocessing_words(processor: Any) -> dict[str, Any]:
    """mean, std, crop_pct and interpolation, of videos the sampling, and what else ours know of fitting images and of
    more than eight bits, as the data of a recipe says them.

    Raises: UserError for a processor that cuts from the middle in another way than ours.
    """
    resample = Resampling(processor.resample if processor.resample is not None else Resampling.BILINEAR)
    interpolation = next((word for word, known in INTERPOLATIONS.items() if known == resample), None)
    if interpolation is None:
        raise UserError(f"resample={resample.name} is none of {', '.join(INTERPOLATIONS)}; set one of them.")
    sampled = {name: getattr(processor, name, None) for name in ("sampling", "sampling_rate")}
    return {
        **{name: values.tolist() for name, values in zip(("mean", "std"), shares_arithmetic(processor), strict=True)},
        "crop_pct": crop_pct_of(processor),
        "interpolation": interpolation,
        **{name: value for name, value in sampled.items() if value is not None},
        **fit_of(processor),
    }


def words_for_channels(processor: Any, channels: int) -> dict[str, Any]:
    """As `preprocessing_words`, of a model with so many channels."""
    words = preprocessing_words(processor)
    colors = {name: for_channels(words[name], channels) for name in ("mean", "std", "pad_color") if name in words}
    if "pad_color" in colors:
        colors["pad_color"] = [round(value) for value in colors["pad_color"]]
    return {**words, **colors}


def fit_of(processor: Any) -> dict[str, Any]:
    """fit, pad_color and pixel_range, where they are not what the other words say already."""
    fit = getattr(processor, "fit", None)
    said = {name: getattr(processor, name, None) for name in ("pad_color", "pixel_range")}
    lists = {name: list(value) for name, value in said.items() if value is not None}
    return {"fit": fit, **lists} if fit in ("pad", "squash") else lists


def crop_pct_of(processor: Any) -> float | None:
    """The share of a side that is left of it; None where images are squeezed into the size as a whole.

    Of all the shares from which the resized sides follow, rounded down, the roundest: the largest or the middle one.
    """
    size, crop = dict(processor.size or {}), dict(getattr(processor, "crop_size", None) or {})
    if not getattr(processor, "do_center_crop", False) or not crop.get("height"):
        return None
    shortest = size.get("shortest_edge")
    sides = [(crop[name], shortest or size.get(name) or 0) for name in ("height", "width")]
    if any(resized < kept for kept, resized in sides):
        raise UserError(f"size={size} is smaller than crop_size={crop}, which crop_pct cannot say.")
    largest = min(kept / resized for kept, resized in sides)
    if all(math.floor(kept / largest) == resized for kept, resized in sides):
        return largest
    return (largest + max(kept / (resized + 1) for kept, resized in sides)) / 2


def pretrained_cfg_of(processor: Any, config: Any) -> dict[str, Any]:
    """What timm's config.json says beside the architecture."""
    words: dict[str, Any] = preprocessing_words(processor) if processor is not None else {}
    height, width = pair(config.image_size)
    cfg = {
        "input_size": [config.num_channels, height, width],
        "fixed_input_size": False,
        "interpolation": words.get("interpolation", "bicubic"),
        "crop_pct": words.get("crop_pct") or 1.0,
        "crop_mode": "center" if words.get("crop_pct") else CROP_MODES[words.get("fit", "squash")],
        "mean": words.get("mean", [0.5] * config.num_channels),
        "std": words.get("std", [0.5] * config.num_channels),
        "num_classes": config.num_labels,
        "pool_size": None,
        "first_conv": "patch_embed.proj",
        "classifier": "head",
    }
    names = [config.id2label[index] for index in range(config.num_labels)]
    return cfg if are_placeholders(names) else {**cfg, "label_names": names}


def are_placeholders(names: Sequence[str]) -> bool:
    """By transformers, where nobody named the labels."""
    return list(names) == [f"LABEL_{index}" for index in range(len(names))]


def timm_label_names(pretrained_cfg: Mapping[str, Any]) -> list[str] | None:
    """timm's names of the labels, or better their descriptions where it has them; None where it says none."""
    names, descriptions = pretrained_cfg.get("label_names"), pretrained_cfg.get("label_descriptions") or {}
    if not names:
        return None
    in_order = [names[key] for key in sorted(names, key=int)] if isinstance(names, Mapping) else list(names)
    described = [descriptions.get(name, name) for name in in_order]
    return described if len(set(described)) == len(described) else in_order


def published_processor(folder: Path) -> Any:
    """The processor of images beside a model of any library, as that made it; None where there is none, or it cannot be
    loaded here: of a library that is not installed, or of code beside it."""
    if not (folder / PROCESSOR_FILES[1]).is_file():
        return None
    if (own := own_processor(folder)) is not None:
        return own
    from transformers.models.auto.image_processing_auto import AutoImageProcessor

    try:
        return AutoImageProcessor.from_pretrained(folder, backend="pil", trust_remote_code=False)
    except (ImportError, OSError, ValueError, TypeError, AttributeError, KeyError):
        return None


def fits(processor: Any, config: Any) -> bool:
    """Whether it works where Pillow does, for images of these channels."""
    means = np.ravel(getattr(processor, "image_mean", None) or [0.0] * 3)
    plain = not getattr(processor, "do_normalize", False)
    return isinstance(processor, PilBackend) and (plain or len(means) in (1, config.num_channels))


def processor_from_json(folder: Path, config: Any) -> Any:
    """The processor, of images or videos, that was published with a model; where it does not fit, ours that does what
    its file says; None where there is none."""
    modality = modality_of(config)
    path = next((folder / name for name in PROCESSOR_FILES if (folder / name).is_file()), None)
    if path is None:
        return None
    said = read_json(path)
    if modality.published_serves and fits(published := published_processor(folder), config):
        return published
    words = words_for_channels(
        SimpleNamespace(
            size=as_sides(said.get("size")),
            crop_size=as_sides(said.get("crop_size")),
            do_center_crop=said.get("do_center_crop", "crop_size" in said),
            resample=said.get("resample"),
            do_normalize=said.get("do_normalize", True),
            do_rescale=said.get("do_rescale", True),
            rescale_factor=said.get("rescale_factor"),
            image_mean=of_channels(said.get("image_mean")),
            image_std=of_channels(said.get("image_std")),
            fit=said.get("fit"),
            pad_color=said.get("pad_color"),
            pixel_range=said.get("pixel_range"),
            sampling=said.get("sampling"),
            sampling_rate=said.get("sampling_rate"),
        ),
        config.num_channels,
    )
    if modality.published_serves:  # that size holds over the configuration's
        config = SimpleNamespace(image_size=published_size(said, config), num_channels=config.num_channels)
    return modality.make_processor(config, **words)


def published_size(said: Mapping[str, Any], config: Any) -> Size:
    """Of the images that a processor's file makes; where it does not say one, the model's."""
    size, crop = as_sides(said.get("size")), as_sides(said.get("crop_size"))
    cuts = said.get("do_center_crop", "crop_size" in said)
    whole = crop if cuts and crop else size
    return [whole["height"], whole["width"]] if whole.keys() >= {"height", "width"} else config.image_size


def of_channels(values: Any) -> list[float]:
    """One number stands for all; nothing for transformers' 0.5."""
    return [values] * 3 if isinstance(values, int | float) else values or [0.5] * 3


def as_sides(size: Any) -> dict[str, int]:
    """Old files hold one number for both sides."""
    return {"height": size, "width": size} if isinstance(size, int) else dict(size or {})


def stock_processor(processor: Any) -> tuple[Any, list[str]]:
    """-> one of transformers' own in place of ours, which needs its code beside it, and a line for what changes."""
    if not isinstance(processor, VisionTransformerImageProcessor):
        return processor, []
    cropping: Any = processor
    if cropping.fit == "pad" or cropping.pixel_range is not None:
        what = "pads images" if cropping.fit == "pad" else f"has a pixel_range of {list(cropping.pixel_range)}"
        return None, [f"no processor of transformers itself {what}; none is saved"]
    size, crop = dict(cropping.size), dict(cropping.crop_size)
    if "shortest_edge" not in size:
        return None, [
            f"no processor of transformers itself cuts {crop['height']} x {crop['width']} pixels; none is saved"
        ]
    stock = modality_of_processor(processor).stock_processor()(
        size={"shortest_edge": size["shortest_edge"]},
        crop_size={"height": crop["height"], "width": crop["width"]},
        resample=cropping.resample,
        image_mean=cropping.image_mean,
        image_std=cropping.image_std,
        do_convert_rgb=cropping.do_convert_rgb,
    )
    # Of 3 that are left over of the shorter side, which is resized to the same length always, half are 2 or 1.
    often = "every image" if (size["shortest_edge"] - crop["height"]) % 4 == 3 else "one image in four"
    return stock, [f"transformers' own processor cuts the middle out of {often} a pixel further up or left"]
