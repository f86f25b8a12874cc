"""What answers rest on: items beside their heat, each under the answer and, where that is wrong, the truth."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from einops import rearrange
from torch import Tensor
from torch.nn import functional

from .curves import GREEN, INK, RED, new_figure, plain_text, save, shorten
from .galleries import PIXELS_AN_INCH, in_color
from .heat_maps import WIDE, overlay

PAIRS_IN_A_ROW = 4
SHORTEST = 112  # pixels of the shorter side, to which smaller items are grown smoothly, so that heat lies over them
GAP = 4


class Answer(NamedTuple):
    """said, truth: labels. share: the probability of what is said."""

    said: str
    share: float
    truth: str

    @property
    def right(self) -> bool:
        return self.said == self.truth


def draw_explained(images: Tensor, heats: Tensor, answers: Sequence[Answer], path: Path, *, title: str) -> None:
    """b c h w and b h w, from 0 to 1: each image beside its heat, four pairs in a row, or above it where it is wide."""
    height, width = images.shape[-2:]
    wide = width > WIDE * height
    images, heats = grown(images), grown(heats[:, None])[:, 0]
    pairs = [pair_of(image, heat, wide=wide) for image, heat in zip(images, heats, strict=True)]
    columns = 1 if wide else min(PAIRS_IN_A_ROW, len(pairs))
    rows = -(-len(pairs) // columns)
    across, down = (6.0, 6.0 * 2 * height / width) if wide else (2.7, 1.35 * height / width)
    figure = new_figure(across * columns + 0.2, (down + 0.45) * rows + 0.3)
    grid = figure.subplots(rows, columns, squeeze=False).flatten()
    for axes in grid:
        axes.set_axis_off()
    for axes, picture, answer in zip(grid, pairs, answers, strict=False):
        axes.imshow(picture, interpolation="antialiased")
        text = f"{plain_text(shorten(answer.said, 16))}  {answer.share:.0%}"
        text += "" if answer.right else f", is {plain_text(shorten(answer.truth, 16))}"
        weight = "normal" if answer.right else "bold"
        axes.set_title(text, fontsize=9, color=GREEN if answer.right else RED, fontweight=weight, pad=4)
    figure.suptitle(title, x=0.01, ha="left", fontsize=10, color=INK)
    save(figure, path, dpi=PIXELS_AN_INCH)


def grown(pixels: Tensor) -> Tensor:
    """b c h w -> b c H W, from 0 to 1: of a side that can be looked at"""
    factor = SHORTEST / min(pixels.shape[-2:])
    if factor <= 1:
        return pixels
    size = tuple(round(side * factor) for side in pixels.shape[-2:])
    return functional.interpolate(pixels, size=size, mode="bicubic", align_corners=False).clamp(0, 1)


def pair_of(image: Tensor, heat: Tensor, *, wide: bool) -> np.ndarray:
    """c h w, h w -> an image and its heat, with white between them: beside it, or below"""
    plain = rearrange(in_color(image), "c h w -> h w c").numpy()
    height, width = heat.shape
    gap = np.ones((GAP, width, 3) if wide else (height, GAP, 3))
    return np.concatenate([plain, gap, overlay(image, heat)], axis=0 if wide else 1)
