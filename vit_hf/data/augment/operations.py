"""What an augmentation is, and those that are one operation on bytes, which occurs with a probability."""

from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field, field_validator
from torch import Tensor

from ...errors import UserError
from ...settings import Section
from ..decode.preparation import View
from .auto_augment import apply
from .random_numbers import choice, in_groups

Share = Annotated[float, Field(ge=0, le=1)]
Limits = tuple[float, float]


def refuse_crossed(limits: Limits, name: str) -> Limits:
    if not 0 < limits[0] <= limits[1]:
        raise UserError(f"{name}: {list(limits)} are no limits; give a positive one and a larger one.")
    return limits


class Augmentation(Section):
    """strength: the fields that a bare number stands for; none where there is nothing to say, and `true` is written.

    phase: "decoding" chooses what is decoded, "bytes" changes pixels, "normalized" what the processor makes of them.
    """

    strength: ClassVar[tuple[str, ...]] = ()
    phase: ClassVar[Literal["decoding", "bytes", "normalized"]] = "bytes"

    @property
    def draws(self) -> int:
        """Random numbers for each sample."""
        raise NotImplementedError

    def __call__(self, pixels: Tensor, numbers: np.ndarray) -> Tensor:
        """b c h w, b draws -> b c h w"""
        raise NotImplementedError

    def choose(self, view: View, numbers: np.ndarray) -> View:
        """draws -> the view, with what this one chooses of it"""
        raise NotImplementedError


class Operation(Augmentation):
    """An operation of auto_augment.py on the images that draw it, each by an amount of its own."""

    strength = ("probability",)
    operation: ClassVar[str]
    probability: Share = 0.5

    @property
    def draws(self) -> int:
        return 2

    def amounts(self, numbers: np.ndarray) -> np.ndarray:
        """b -> b"""
        return np.zeros_like(numbers)

    def __call__(self, pixels, numbers):
        chosen = np.where(numbers[:, 0] < self.probability, 0, -1)
        return apply(pixels, [self.operation], chosen, self.amounts(numbers[:, 1]))


class Blur(Operation):
    """A Gaussian of a standard deviation between these limits, in pixels of the model's size."""

    operation = "blur"
    sigma: Limits = (0.1, 2.0)

    @field_validator("sigma")
    @classmethod
    def refuse_what_is_too_wide(cls, sigma: Limits) -> Limits:
        if sigma[1] > 2:
            raise UserError(f"sigma: {list(sigma)} is more than the 2 pixels that a blur reaches; give at most 2.")
        return refuse_crossed(sigma, "sigma")

    def amounts(self, numbers):
        return self.sigma[0] + (self.sigma[1] - self.sigma[0]) * numbers


class Grayscale(Operation):
    """The gray of the colors in every channel."""

    operation = "gray"
    probability: Share = 0.1


class Solarize(Operation):
    """What is at or above the threshold is inverted."""

    operation = "solarize"
    threshold: float = Field(default=128, ge=0, le=256)

    def amounts(self, numbers):
        return np.full_like(numbers, self.threshold)


class Posterize(Operation):
    """So many of the 8 bits of each color are left."""

    operation = "posterize"
    bits: int = Field(default=4, ge=0, le=8)

    def amounts(self, numbers):
        return np.full_like(numbers, self.bits)


class Sharpness(Operation):
    """Smoothed at a factor of 0, as it is at 1, sharper at more."""

    operation = "sharpness"
    factor: float = Field(default=2.0, ge=0)

    def amounts(self, numbers):
        return np.full_like(numbers, self.factor)


class Equalize(Operation):
    """The levels of every channel are spread evenly."""

    operation = "equalize"


class AutoContrast(Operation):
    """Every channel is stretched over all levels."""

    operation = "auto_contrast"


class Invert(Operation):
    """White becomes black."""

    operation = "invert"


class VerticalFlip(Operation):
    """Mirror top and bottom, for what has no side that is up: from above, or through a microscope."""

    @property
    def draws(self) -> int:
        return 1

    def __call__(self, pixels, numbers):
        chosen = np.where(numbers[:, 0] < self.probability, 0, -1)
        return in_groups(pixels, chosen, lambda number, pixels, rows: pixels.flip(-2))


class QuarterTurns(Operation):
    """A turn by no, one, two or three quarters, all as likely; with flips each of the eight ways to lie."""

    probability: Share = 1.0

    def __call__(self, pixels, numbers):
        if pixels.shape[-2] != pixels.shape[-1]:
            raise UserError(
                f"quarter_turns are of square images, and the model's are {pixels.shape[-2]} x {pixels.shape[-1]}; "
                "leave them out, or take flip and vertical_flip."
            )
        turns = np.where(numbers[:, 0] < self.probability, choice(numbers[:, 1], 4), 0)
        return in_groups(pixels, turns, lambda number, pixels, rows: pixels.rot90(number, (-2, -1)))


OPERATIONS: dict[str, type[Operation]] = {
    "vertical_flip": VerticalFlip,
    "quarter_turns": QuarterTurns,
    "blur": Blur,
    "grayscale": Grayscale,
    "solarize": Solarize,
    "posterize": Posterize,
    "sharpness": Sharpness,
    "equalize": Equalize,
    "auto_contrast": AutoContrast,
    "invert": Invert,
}
