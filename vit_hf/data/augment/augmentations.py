"""What a recipe may say under `data.train`, and the pure functions that it means.

An entry is a name with its strength, or with a mapping of its fields:

    train: {random_resized_crop: {scale: [0.08, 1.0]}, flip: 0.5, randaugment: {n: 2, magnitude: 9}, erase: 0.25}

They follow one another in this order, phase by phase: first what chooses what is decoded, such as `random_clip` and
`random_resized_crop`, then what changes its bytes, and last what changes normalized pixels, such as `erase`. A bare
number or word is for the fields that an entry names as its `strength`. Every random number is a function of the seed,
the epoch and the sample (see random_numbers.py), and the same for all frames of a clip.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Literal

import numpy as np
from pydantic import Field, field_validator

from ...errors import UserError, unknown_name
from ..decode.resize import Box
from .augmix import augmix, augmix_draws
from .auto_augment import (
    JITTER_DRAWS,
    RANDAUGMENT_DRAWS,
    THREE_DRAWS,
    TRIVIALAUGMENT_DRAWS,
    color_jitter,
    randaugment,
    three_augment,
    trivialaugment,
)
from .crops import BOX_DRAWS, ERASE_DRAWS, erase_, flip, pad_and_crop, random_box
from .geometry import AFFINE, AFFINE_DRAWS
from .operations import OPERATIONS, Augmentation, Limits, Share, refuse_crossed
from .policies import AUTOAUGMENT_DRAWS, PolicyName, autoaugment


class RandomResizedCrop(Augmentation):
    """A part of the decoded image, of a share `scale` of its area and of a `ratio` of width to height."""

    strength = ("scale",)
    phase = "decoding"
    scale: Limits = (0.08, 1.0)
    ratio: Limits = (3 / 4, 4 / 3)

    @field_validator("scale", mode="before")
    @classmethod
    def from_the_smallest(cls, scale: Any) -> Any:
        return (scale, 1.0) if isinstance(scale, int | float) else scale

    @field_validator("scale", "ratio")
    @classmethod
    def refuse_crossed_limits(cls, limits: Limits, info) -> Limits:
        if info.field_name == "scale" and limits[1] > 1:
            raise UserError(f"scale: {list(limits)} are shares of the image, and cannot be more than 1.")
        return refuse_crossed(limits, info.field_name)

    @property
    def draws(self) -> int:
        return BOX_DRAWS

    def box(self, height: int, width: int, numbers: np.ndarray) -> Box:
        return random_box(height, width, numbers, scale=self.scale, ratio=self.ratio)

    def choose(self, view, numbers):
        return replace(view, box=partial(self.box, numbers=numbers))


class RandomClip(Augmentation):
    """Another clip of a longer video each time; written as `random_clip: true`. Without it, it is the middle one."""

    phase = "decoding"

    @property
    def draws(self) -> int:
        return 1

    def choose(self, view, numbers):
        return replace(view, place=float(numbers[0]))


class Flip(Augmentation):
    """Mirror left and right."""

    strength = ("probability",)
    probability: Share = 0.5

    @property
    def draws(self) -> int:
        return 1

    def __call__(self, pixels, numbers):
        return flip(pixels, numbers, probability=self.probability)


class PadAndCrop(Augmentation):
    """Move by up to so many pixels, as is usual on CIFAR."""

    strength = ("margin",)
    margin: int = Field(default=4, ge=1)
    padding: Literal["zeros", "reflect"] = "reflect"

    @property
    def draws(self) -> int:
        return 2

    def __call__(self, pixels, numbers):
        return pad_and_crop(pixels, numbers, margin=self.margin, padding=self.padding)


class AutoAugment(Augmentation):
    """Two operations, as a policy has them that was found on this data set; written as `auto_augment: imagenet`."""

    strength = ("policy",)
    policy: PolicyName = "imagenet"

    @property
    def draws(self) -> int:
        return AUTOAUGMENT_DRAWS

    def __call__(self, pixels, numbers):
        return autoaugment(pixels, numbers, policy=self.policy)


class RandAugment(Augmentation):
    """n operations of about the same magnitude (0 to 10). timm's rand-m9-mstd0.5-inc1 is {magnitude: 9, noise: 0.5}."""

    strength = ("magnitude",)
    n: int = Field(default=2, ge=1)
    magnitude: float = Field(default=9, ge=0, le=10)
    noise: float = Field(default=0, ge=0, description="standard deviation of the magnitude")
    probability: Share = Field(default=0.5, description="that an operation, once drawn, occurs")

    @property
    def draws(self) -> int:
        return self.n * RANDAUGMENT_DRAWS

    def __call__(self, pixels, numbers):
        how = {"magnitude": self.magnitude, "noise": self.noise, "probability": self.probability}
        return randaugment(pixels, numbers, n=self.n, **how)


class TrivialAugment(Augmentation):
    """One operation of any strength, in the wide space; written as `trivialaugment: true`."""

    @property
    def draws(self) -> int:
        return TRIVIALAUGMENT_DRAWS

    def __call__(self, pixels, numbers):
        return trivialaugment(pixels, numbers)


class AugMix(Augmentation):
    """Chains of operations, mixed with one another and with the image. The loss of its paper is no part of it."""

    strength = ("severity",)
    severity: float = Field(default=3, ge=1, le=10, description="an operation's magnitude is drawn up to this")
    width: int = Field(default=3, ge=1, description="chains")
    depth: int = Field(default=-1, ge=-1, description="operations in a chain; -1 for 1 to 3")
    alpha: float = Field(default=1, ge=0.1, le=100, description="of the weights of the chains, and of the mixture's")
    operations: Literal["all", "paper"] = Field(
        default="all", description="paper: without brightness, contrast, saturation and sharpness (for ImageNet-C)"
    )

    @field_validator("depth")
    @classmethod
    def refuse_no_depth(cls, depth: int) -> int:
        if depth == 0:
            raise UserError("depth: a chain of 0 operations changes nothing; give 1 or more, or -1 for 1 to 3.")
        return depth

    @property
    def draws(self) -> int:
        return augmix_draws(self.width, self.depth)

    def __call__(self, pixels, numbers):
        how = {"severity": self.severity, "width": self.width, "depth": self.depth, "alpha": self.alpha}
        return augmix(pixels, numbers, operations=self.operations, **how)


class ThreeAugment(Augmentation):
    """DeiT III's: gray, solarized or blurred; then jittered colors."""

    strength = ("jitter",)
    jitter: Share = 0.3

    @property
    def draws(self) -> int:
        return THREE_DRAWS

    def __call__(self, pixels, numbers):
        return three_augment(pixels, numbers, jitter=self.jitter)


class ColorJitter(Augmentation):
    """Brightness, contrast, saturation, and hue as a share of the circle; a bare number is for the first three."""

    strength = ("brightness", "contrast", "saturation")
    brightness: float = Field(default=0, ge=0)
    contrast: float = Field(default=0, ge=0)
    saturation: float = Field(default=0, ge=0)
    hue: float = Field(default=0, ge=0, le=0.5)

    @property
    def draws(self) -> int:
        return JITTER_DRAWS

    def __call__(self, pixels, numbers):
        return color_jitter(pixels, numbers, [self.brightness, self.contrast, self.saturation, self.hue])


class Erase(Augmentation):
    """A rectangle gives way to noise in every pixel, to one color, or to zeros (the mean)."""

    strength = ("probability",)
    phase = "normalized"
    probability: Share = 0.25
    area: Limits = (0.02, 1 / 3)
    fill: Literal["pixel", "color", "zeros"] = "pixel"

    @field_validator("area")
    @classmethod
    def refuse_crossed_limits(cls, area: Limits) -> Limits:
        return refuse_crossed(area, "area")

    @property
    def draws(self) -> int:
        return ERASE_DRAWS

    def __call__(self, pixels, numbers):
        return erase_(pixels, numbers, probability=self.probability, area=self.area, fill=self.fill)


class Affine(Augmentation):
    """A map of `AFFINE`; those that follow one another become one, so that pixels are looked up once."""

    strength = ("by",)
    name: str
    by: float

    @property
    def draws(self) -> int:
        return AFFINE_DRAWS


AUGMENTATIONS: dict[str, type[Augmentation]] = {
    "random_clip": RandomClip,
    "random_resized_crop": RandomResizedCrop,
    "flip": Flip,
    "pad_and_crop": PadAndCrop,
    "auto_augment": AutoAugment,
    "randaugment": RandAugment,
    "trivialaugment": TrivialAugment,
    "augmix": AugMix,
    "three_augment": ThreeAugment,
    "color_jitter": ColorJitter,
    **OPERATIONS,
    "erase": Erase,
    **dict.fromkeys(AFFINE, Affine),
}


def augmentation_fields(kind: type[Augmentation], name: str, value: Any) -> dict[str, Any]:
    """What the value of an entry says of its fields."""
    own = {"name": name} if kind is Affine else {}
    if isinstance(value, Mapping):
        return {**own, **value}
    if value is True and kind is not Affine:
        return own
    if isinstance(value, bool) or not kind.strength:
        would_do = "give a number" if kind is Affine else f"write `{name}: true`"
        raise UserError(f"{name}: {value} means nothing here; {would_do}, or leave it out.")
    return {**own, **dict.fromkeys(kind.strength, value)}


def build_augmentation(name: str, value: Any) -> Augmentation:
    """An entry of `data.train`."""
    if name not in AUGMENTATIONS:
        raise UserError(unknown_name("augmentation", name, AUGMENTATIONS))
    kind = AUGMENTATIONS[name]
    return kind(**augmentation_fields(kind, name, value))
