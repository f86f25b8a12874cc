"""The `data:` section of a recipe: which images, which columns, which splits, which preparation."""

from typing import Literal

from pydantic import Field, field_validator

from .augmentation import AUGMENTATIONS
from .words import Section, unknown_name

Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos"]


class DataSettings(Section):
    """Where images come from, and what happens to them before the model sees them."""

    name: str = Field(description="digits, a folder of class folders, parquet files, or a Hub dataset id")
    subset: str | None = Field(default=None, description="the configuration of a Hub dataset that has several")
    revision: str | None = Field(default=None, description="the branch, tag or commit of a Hub dataset")
    image_column: str | None = Field(default=None, description="found by its type where left out")
    label_column: str | None = Field(default=None, description="found by its type or name where left out")
    train_split: str | None = None
    validation_split: str | None = None
    test_split: str | None = None
    test_fraction: float = Field(default=0.2, gt=0, lt=1, description="of the data, where it has no split to test on")
    split_seed: int = Field(default=0, ge=0, description="draws that split; apart from the seed of the training")
    on_error: Literal["fail", "skip"] = "fail"
    check_finite: bool = Field(default=False, description="refuse NaN and infinite pixels")
    keep_in_memory: bool | None = Field(default=None, description="prepared pixels; by default where 2 GiB hold them")
    mean: list[float] = [0.5, 0.5, 0.5]
    std: list[float] = [0.5, 0.5, 0.5]
    crop_pct: float | None = Field(default=None, gt=0, le=1, description="None: squeeze the whole image into the size")
    interpolation: Interpolation = "bicubic"
    train: dict[str, float] = Field(default={}, description="augmentations and their strengths")

    @field_validator("std")
    @classmethod
    def refuse_division_by_zero(cls, std: list[float]) -> list[float]:
        if any(value <= 0 for value in std):
            raise ValueError(f"std {std} divides pixels by a number that is not positive; give positive numbers.")
        return std

    @field_validator("train")
    @classmethod
    def refuse_unknown_augmentations(cls, train: dict[str, float]) -> dict[str, float]:
        for name in train:
            if name not in AUGMENTATIONS:
                raise ValueError(unknown_name("augmentation", name, AUGMENTATIONS))
        return train
