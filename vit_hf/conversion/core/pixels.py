"""Whether two processors make the same pixels of a photograph."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import cache
from inspect import signature
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ...data.decode.preparation import shares_arithmetic

# Of the whole range of brightness: what other orders of rounding explain.
BOUND = 2 / 255
# The same photograph a little narrower: a middle of half pixels is rounded up by some and down by others.
NARROWER = (0, 1, 2, 3, 14, 40)


@dataclass
class PixelParity:
    """What came of it. sizes: height and width that each makes of it. largest, mean: differences for each width of the
    photograph, as shares of the whole range of brightness; empty where the sizes are not the same. shifted: of how many
    widths another middle is cut out, a pixel further, but for which they are the same."""

    sizes: list[list[int]]
    largest: list[float] = field(default_factory=list)
    mean: list[float] = field(default_factory=list)
    shifted: int = 0
    bound: float = BOUND

    @property
    def passed(self) -> bool:
        """Whether they are the same but for where a middle of half pixels lies."""
        return bool(self.largest) and max(self.largest) <= self.bound

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "passed": self.passed}

    def __str__(self) -> str:
        if not self.largest:
            one, other = (" x ".join(map(str, size)) for size in self.sizes)
            return f"  the pixels of a photograph: {one} and {other} of them; NOT the same"
        shift = (
            f"; in {self.shifted} of {len(self.largest)} widths the middle lies a pixel further" if self.shifted else ""
        )
        verdict = f"equal within {255 * self.bound:.0f}" if self.passed else f"NOT equal within {255 * self.bound:.0f}"
        height, width = self.sizes[0]
        figures = f"{255 * max(self.largest):.2f} of 255 at most, {255 * max(self.mean):.2f} on average"
        return f"  the pixels of a photograph, {height} x {width}: {figures}; {verdict}{shift}"


def compare_pixels(ours: Any, theirs: Callable[[Image.Image], Tensor]) -> PixelParity:
    """Of our processor of images, and of what makes c h w of one in another way."""
    found = [(pixels_by(ours)(photo), theirs(photo)) for photo in photographs()]
    sizes = [list(one.shape[-2:]) for one in found[0]]
    if any(one.shape != other.shape for one, other in found):
        return PixelParity(sizes)
    # How far from each other black and white are, for each channel.
    scale = shares_arithmetic(ours)[1].reshape(-1, 1, 1)
    report = PixelParity(sizes)
    for one, other in found:
        one, other = one.double() * scale, other.double() * scale
        difference = (one - other).abs()
        if difference.max() > BOUND and (moved := least_when_moved(one, other)).max() <= BOUND:
            difference, report.shifted = moved, report.shifted + 1
        report.largest.append(float(difference.max()))
        report.mean.append(float(difference.mean()))
    return report


def least_when_moved(one: Tensor, other: Tensor) -> Tensor:
    """c h w, c h w -> c (h - 2) (w - 2): the least of the differences where one lies a pixel further, in any direction.

    Only for who cuts a middle of half pixels out, which some round down and some to the even number.
    """
    height, width = one.shape[-2] - 2, one.shape[-1] - 2
    inner = one[..., 1:-1, 1:-1]
    moved = [other[..., down : down + height, right : right + width] for down in range(3) for right in range(3)]
    return min(((inner - part).abs() for part in moved), key=lambda difference: float(difference.max()))


def pixels_by(processor: Any) -> Callable[[Image.Image], Tensor]:
    """What a processor of transformers makes of one image, or one of videos of a video of that one frame: c h w"""

    def pixels(photo: Image.Image) -> Tensor:
        frames = takes_frames(processor)
        made = processor([[photo]] if frames else photo, return_tensors="np")["pixel_values"][0]
        return torch.as_tensor(np.asarray(made[0] if frames else made))

    return pixels


def takes_frames(processor: Any) -> bool:
    """Whether what it takes first is called videos: ours, and that of images that TimeSformer is published with."""
    return "videos" in signature(getattr(processor, "preprocess", processor.__call__)).parameters


@cache
def photographs() -> list[Image.Image]:
    """scikit-learn's first photograph, of 427 x 640 pixels and a little less."""
    from sklearn.datasets import load_sample_images

    source: Any = load_sample_images()
    photo = Image.fromarray(source.images[0])
    return [photo.crop((0, 0, photo.width - less, photo.height)) for less in NARROWER]
