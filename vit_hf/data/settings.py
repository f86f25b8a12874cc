"""The `data:` section of a recipe: which images, which columns, which splits, which preparation."""

from typing import Any, Literal, get_args

from pydantic import Field, ValidationError, field_validator, model_validator

from ..errors import UserError
from ..models.video_frames import Sampling
from ..settings import Section
from .augment.augmentations import build_augmentation
from .augment.plan import MixSettings

Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos"]
# As transformers calls them in a model's configuration.
ProblemType = Literal["single_label_classification", "multi_label_classification", "regression"]


class DataSettings(Section):
    """Where images or videos come from, and what happens to them before the model sees them."""

    name: str = Field(description="digits, moving_digits, a folder of class folders, parquet, or a Hub id")
    subset: str | None = Field(default=None, description="the configuration of a Hub dataset that has several")
    revision: str | None = Field(default=None, description="the branch, tag or commit of a Hub dataset")
    image_column: str | None = Field(default=None, description="found by its type where left out")
    label_column: str | None = Field(default=None, description="found by its type or name where left out")
    train_split: str | None = None
    validation_split: str | None = None
    test_split: str | None = None
    test_fraction: float = Field(default=0.2, gt=0, lt=1, description="of the data, where it has no split to test on")
    split_seed: int = Field(default=0, ge=0, description="draws that split; apart from the seed of the training")
    streaming: bool = Field(default=False, description="parquet and Hub: read the train split while training")
    on_error: Literal["fail", "skip"] = "fail"
    check_finite: bool = Field(default=False, description="refuse NaN and infinite pixels")
    check_images: bool = Field(default=True, description="read every image before training, not when it comes up")
    keep_in_memory: bool | None = Field(default=None, description="prepared pixels; by default where 2 GiB hold them")
    cache: bool | str = Field(default=False, description="prepared pixels on disk: a folder, or true for the user's")
    mean: list[float] = [0.5, 0.5, 0.5]
    std: list[float] = [0.5, 0.5, 0.5]
    crop_pct: float | None = Field(default=None, gt=0, le=1, description="None: images squeezed whole, clips 1.0")
    interpolation: Interpolation = "bicubic"
    frame_sampling: Sampling = Field(
        default="uniform", description="frames of the whole video, or dense, of a part of it"
    )
    sampling_rate: int = Field(default=32, ge=1, description="dense: of so many frames one is taken")
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

    @field_validator("std")
    @classmethod
    def refuse_division_by_zero(cls, std: list[float]) -> list[float]:
        if any(value <= 0 for value in std):
            raise UserError(f"std {std} divides pixels by a number that is not positive; give positive numbers.")
        return std

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
