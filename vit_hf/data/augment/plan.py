"""The augmentation of a recipe, ready to be used: what is drawn for a sample, and what is done with it, and where."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor

from ...errors import UserError
from ...settings import Section
from ..decode.preparation import MIDDLE, View
from .augmentations import Affine, RandomClip, build_augmentation
from .geometry import AFFINE, apply_affine, identity_matrices
from .mixing import MIX_DRAWS, mix
from .operations import Augmentation, Share
from .random_numbers import uniform
from .user_transform import UserTransform


class MixSettings(Section):
    """`data.mix`: {mixup: 0.8, cutmix: 1.0} are the alphas of their Beta distributions; neighbors of a batch mix."""

    mixup: float = Field(default=0, ge=0, description="alpha; 0 for none")
    cutmix: float = Field(default=0, ge=0, description="alpha; 0 for none")
    probability: Share = Field(default=1, description="that a pair is mixed at all")
    switch: Share = Field(default=0.5, description="the probability of cutmix where there are both")

    @model_validator(mode="after")
    def refuse_nothing(self):
        if not self.mixup and not self.cutmix:
            raise UserError("Neither mixup nor cutmix has an alpha; give one, as in {mixup: 0.8}, or leave mix out.")
        return self


@dataclass(frozen=True)
class Step:
    """An augmentation, and which of a sample's numbers are its own."""

    augmentation: Augmentation
    columns: slice


@dataclass(frozen=True)
class AugmentationPlan:
    """Steps in the order of the recipe. Adding one at the end changes nothing that the others draw.

    transform: the user's own, which comes before all that changes bytes.
    """

    steps: tuple[Step, ...] = ()
    mixing: MixSettings | None = None
    draws: int = 0
    transform: UserTransform | None = None

    @classmethod
    def of(cls, train: Mapping[str, Any], mixing: MixSettings | None = None) -> "AugmentationPlan":
        steps, drawn = [], 0
        for name, value in train.items():
            augmentation = build_augmentation(name, value)
            steps.append(Step(augmentation, slice(drawn, drawn + augmentation.draws)))
            drawn += augmentation.draws
        return cls(tuple(steps), mixing, drawn + (MIX_DRAWS if mixing else 0))

    def in_phase(self, phase: str) -> list[Step]:
        return [step for step in self.steps if step.augmentation.phase == phase]

    def numbers(self, seed: int, epoch: int, samples: np.ndarray) -> np.ndarray:
        """b -> b draws"""
        return uniform(seed, epoch, samples, self.draws)

    @property
    def chooses(self) -> bool:
        """Whether a sample's numbers decide which part of an image or video is decoded."""
        return bool(self.in_phase("decoding"))

    @property
    def chooses_frames(self) -> bool:
        """Whether they decide which frames of a video are decoded."""
        return any(isinstance(step.augmentation, RandomClip) for step in self.steps)

    def view(self, numbers: np.ndarray | None) -> View:
        """draws -> what is decoded of a sample"""
        view = MIDDLE
        if numbers is not None:
            for step in self.in_phase("decoding"):
                view = step.augmentation.choose(view, numbers[step.columns])
        return view

    def augment(self, pixels: Tensor, numbers: np.ndarray) -> Tensor:
        """b c h w (bytes), b draws -> b c h w: shares from 0 to 1"""
        matrices = None
        for step in self.in_phase("bytes"):
            augmentation, own = step.augmentation, numbers[:, step.columns]
            if isinstance(augmentation, Affine):
                matrix = AFFINE[augmentation.name](torch.from_numpy(own).float(), augmentation.by)
                matrices = (identity_matrices(len(own)) if matrices is None else matrices) @ matrix
                continue
            pixels, matrices = augmentation(to_uint8(moved(pixels, matrices)), own), None
        return in_shares(moved(pixels, matrices))

    def augment_normalized(self, pixels: Tensor, numbers: np.ndarray) -> Tensor:
        """b c h w (normalized), b draws -> b c h w, in place"""
        for step in self.in_phase("normalized"):
            pixels = step.augmentation(pixels, numbers[:, step.columns])
        return pixels

    def mix(self, pixels: Tensor, labels: Tensor, numbers: np.ndarray, classes: int) -> tuple[Tensor, Tensor]:
        """b c h w, b, b draws -> b c h w, b or b classes"""
        if self.mixing is None:
            return pixels, labels
        how = self.mixing
        return mix(
            pixels,
            labels,
            numbers[:, -MIX_DRAWS:],
            classes,
            mixup_alpha=how.mixup,
            cutmix_alpha=how.cutmix,
            probability=how.probability,
            switch=how.switch,
        )


def moved(pixels: Tensor, matrices: Tensor | None) -> Tensor:
    """b c h w, b 3 3 -> b c h w: as shares from 0 to 1 once there is something to move."""
    return pixels if matrices is None else apply_affine(in_shares(pixels), matrices)


def in_shares(pixels: Tensor) -> Tensor:
    """... -> ...: bytes as shares from 0 to 1, with the same bits on every device. CUDA multiplies by the reciprocal of
    a plain number, which rounds twice, and divides by a tensor."""
    return pixels if pixels.is_floating_point() else pixels.float().div_(torch.full((), 255.0, device=pixels.device))


def to_uint8(pixels: Tensor) -> Tensor:
    return (pixels * 255).round().clamp(0, 255).to(torch.uint8) if pixels.is_floating_point() else pixels


def describe(train: Mapping[str, Any]) -> str:
    """An entry of `data.train` in words: flip 0.5, randaugment (n 2, magnitude 9)."""

    def words(value: Any) -> str:
        if isinstance(value, Mapping):
            return " (" + ", ".join(f"{name} {words(own).strip()}" for name, own in value.items()) + ")"
        if isinstance(value, list | tuple):
            return " " + " to ".join(f"{own:g}" for own in value)
        return "" if value is True else f" {value:g}" if isinstance(value, int | float) else f" {value}"

    return ", ".join(f"{name}{words(value)}" for name, value in train.items())
