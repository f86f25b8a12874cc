"""The `data:` section of a recipe: which images, which columns, which splits, which preparation."""

import math
from typing import Any, Literal, get_args

from pydantic import Field, ValidationError, field_validator, model_validator

from ..errors import UserError
from ..models.frame_sampling import Sampling
from ..settings import Section
from .augment.augmentations import build_augmentation
from .augment.plan import MixSettings
from .decode.files import MAX_PIXELS
from .decode.processors import Fit, chosen_fit

PixelRange = tuple[float, float]
Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos"]
# As transformers calls them in a model's configuration.
ProblemType = Literal["single_label_classification", "multi_label_classification", "regression"]
Layout = Literal["classes", "splits", "classes_of_splits", "table", "webdataset"]


class DataSettings(Section):
    """Where images or videos come from, and what happens to them before the model sees them."""

    name: str = Field(description="digits, moving_digits, a folder, a table, an archive, or a Hub id (docs/data.md)")
    layout: Layout | None = Field(default=None, description="what a folder holds, where that is not clear")
    subset: str | None = Field(default=None, description="the configuration of a Hub dataset that has several")
    revision: str | None = Field(default=None, description="the branch, tag or commit of a Hub dataset")
    image_column: str | None = Field(default=None, description="found by its type where left out")
    label_column: str | None = Field(default=None, description="found by its type or name where left out")
    label_columns: list[str] | None = Field(default=None, description="several: of 0 and 1, or of numbers")
    label_separator: str | None = Field(default=None, description="between the labels of one cell, as in cat|dog")
    problem_type: ProblemType | None = Field(default=None, description="found by the labels where left out")
    group_column: str | None = Field(default=None, description="what belongs together, such as a patient")
    group_by: Literal["folder"] | None = Field(default=None, description="the folder that an image lies in")
    train_split: str | None = Field(default=None, description="what the data calls it; found where left out")
    validation_split: str | None = Field(default=None, description="what the data calls it; found where left out")
    test_split: str | None = Field(default=None, description="what the data calls it; found where left out")
    test_fraction: float = Field(default=0.2, ge=0, lt=1, description="of the data, where it has no split to test on")
    validation_fraction: float = Field(
        default=0.15, ge=0, lt=1, description="of the train split, where the data has none to choose checkpoints by"
    )
    folds: int | None = Field(default=None, ge=2, description="of the train split, each tested by a model of its own")
    split_seed: int = Field(default=0, ge=0, description="decides who is in which part; apart from the training's seed")
    split: str | None = Field(default=None, description="a model whose parts are taken over, or its split.jsonl")
    streaming: bool = Field(default=False, description="parquet and Hub: read the train split while training")
    on_error: Literal["fail", "skip"] = Field(default="fail", description="at what cannot be read; skipped is counted")
    check_finite: bool = Field(default=False, description="refuse NaN and infinite pixels")
    check_images: bool = Field(default=True, description="before training: of all images header and end at least")
    max_pixels: int = Field(default=MAX_PIXELS, ge=1, description="larger images are refused before they are decoded")
    pixel_range: PixelRange | None = Field(
        default=None, description="black and white of 16-bit and float images; None: found on the training data"
    )
    keep_in_memory: bool | None = Field(default=None, description="prepared pixels; by default where 2 GiB hold them")
    cache: bool | str = Field(default=False, description="prepared pixels on disk: a folder, or true for the user's")
    mean: list[float] = Field(default=[0.5, 0.5, 0.5], description="of each channel, taken from pixels of 0 to 1")
    std: list[float] = Field(default=[0.5, 0.5, 0.5], description="of each channel, by which they are divided then")
    fit: Fit | None = Field(default=None, description="squash (images), crop (clips, or with crop_pct), or pad")
    crop_pct: float | None = Field(default=None, gt=0, le=1, description="of fit: crop, the share of a side; None: 1")
    pad_color: list[int] | None = Field(default=None, description="of fit: pad, 0 to 255 a channel; None: the mean")
    interpolation: Interpolation = Field(default="bicubic", description="when images are resized")
    frame_sampling: Sampling = Field(
        default="uniform", description="frames of the whole video, or dense, of a part of it"
    )
    sampling_rate: int = Field(default=32, ge=1, description="dense: of so many frames one is taken, at 30 a second")
    frames: str | None = Field(default=None, description="files of a folder that are one video's, as in img_*.jpg")
    sampling: Literal["shuffled", "balanced"] = Field(
        default="shuffled", description="each training image once an epoch; or each class as often, its images repeated"
    )
    train: dict[str, Any] = Field(default={}, description="augmentations: a strength or fields (augmentations.py)")
    mix: MixSettings | None = Field(default=None, description="mixup and cutmix, as in {mixup: 0.8, cutmix: 1.0}")
    repeats: int = Field(default=1, ge=1, description="of each image in an effective batch, differently augmented")

    @field_validator("sampling", mode="before")
    @classmethod
    def refuse_sampling_of_frames(cls, sampling):
        if sampling in get_args(Sampling):
            raise UserError(
                f"sampling is how often images are drawn in training, and {sampling} is how the frames of a video are "
                f"chosen: say data.frame_sampling: {sampling}."
            )
        return sampling

    @field_validator("name")
    @classmethod
    def refuse_no_name(cls, name: str) -> str:
        """Which would be the folder that one works in."""
        if not name.strip():
            raise UserError("data.name is empty; give a folder, a table, an archive or the id of a data set.")
        return name

    @field_validator("std")
    @classmethod
    def refuse_division_by_zero(cls, std: list[float]) -> list[float]:
        if any(value <= 0 for value in std):
            raise UserError(f"std {std} divides pixels by a number that is not positive; give positive numbers.")
        return std

    @field_validator("pixel_range")
    @classmethod
    def refuse_an_empty_range(cls, limits: PixelRange | None) -> PixelRange | None:
        if limits is not None and not -math.inf < limits[0] < limits[1] < math.inf:
            raise UserError(f"pixel_range {list(limits)} is no range; give the number that is black and a larger one.")
        return limits

    @model_validator(mode="after")
    def refuse_two_ways_to_fit(self):
        chosen_fit(self.fit, self.crop_pct, self.pad_color)
        return self

    @field_validator("train")
    @classmethod
    def refuse_unknown_augmentations(cls, train: dict[str, Any]) -> dict[str, Any]:
        for name, value in train.items():
            try:
                build_augmentation(name, value)
            except ValidationError as error:
                problem = error.errors()[0]
                place = ".".join(str(part) for part in (name, *problem["loc"]))
                reason = problem["msg"].removeprefix("Value error, ")
                raise UserError(f"{place}: {reason} (given: {value!r})") from error
        return train

    @model_validator(mode="after")
    def refuse_two_ways_to_say_it(self):
        for one, other in (("label_column", "label_columns"), ("group_column", "group_by")):
            if getattr(self, one) is not None and getattr(self, other) is not None:
                raise UserError(f"{one}={getattr(self, one)!r} and {other}={getattr(self, other)!r}: give one of them.")
        return self

    @model_validator(mode="after")
    def refuse_keeping_a_stream(self):
        keeping = {
            "cache": bool(self.cache),
            "keep_in_memory": self.keep_in_memory is not None,
            "repeats": self.repeats > 1,
            "sampling": self.sampling == "balanced",
        }
        for name, wanted in keeping.items():
            if self.streaming and wanted:
                raise UserError(
                    f"streaming takes each image once as it comes and keeps none, which {name}={getattr(self, name)} "
                    "needs; leave one of the two out."
                )
        return self

    @model_validator(mode="after")
    def refuse_repeating_twice(self):
        if self.repeats > 1 and self.sampling == "balanced":
            raise UserError(
                "sampling: balanced repeats images of rare classes, and repeats those of all; leave one of the two out."
            )
        return self
