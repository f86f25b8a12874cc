"""What the last layer makes of files of images or videos, whatever the label: a picture of each, in three colors."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import UserError
from ..explanation.explain import FEATURES
from ..explanation.inside import in_three_colors, last_features
from ..fewer_tokens.put_on import merge_tokens
from ..plots.heat_maps import draw_features
from .explain import Subject, free_name

FEWEST_PATCHES = 4  # which differ in three directions


@dataclass(frozen=True)
class FeaturesOfFile:
    """One file, and the pictures of it."""

    path: str
    pictures: list[str]


@dataclass(frozen=True)
class FeaturesShown:
    """thing: "image" or "video". unreadable: a line for each file that cannot be read. files: how many there were."""

    thing: str
    results: list[FeaturesOfFile]
    unreadable: list[str]
    files: int


def show_features(
    model_name: str,
    files: Sequence[str | Path],
    output: Path,
    *,
    token_merging: int | str | None = None,
    max_pixels: int | None = None,
    trust_remote_code: bool = False,
) -> FeaturesShown:
    """For each file of images or videos a picture in the folder `output`: what the model sees, beside the last layer's
    patches, whose red, green and blue are the three directions in which those of all files differ most.

    Raises: as `explain_files`, and UserError for fewer than four patches in all.
    """
    subject = Subject(model_name, files, max_pixels, trust_remote_code=trust_remote_code)
    if token_merging is not None:
        merge_tokens(subject.model, token_merging)
    paths, shown, tokens, unreadable = list[Path](), list[Tensor](), list[Tensor](), list[str]()
    for path in subject.paths:
        read, lines = subject.read(path)
        unreadable += lines
        for pixels in read:  # 1 (t) c h w, bytes
            paths.append(path)
            shown.append(pixels.float().div(255))
            tokens.append(last_features(subject.model, subject.inputs(shown[-1])).cpu())
    results = []
    for path, pixels, colors in zip(paths, shown, colors_of(tokens), strict=True):
        picture = output / f"{free_name(output, path)}.png"
        output.mkdir(parents=True, exist_ok=True)
        draw_features(pixels, {"last layer": colors[None]}, picture, inches=2.4)
        results.append(FeaturesOfFile(str(path), [str(picture)]))
    return FeaturesShown(subject.modality.noun, results, unreadable, len(subject.paths))


def colors_of(tokens: Sequence[Tensor]) -> Sequence[Tensor]:
    """1 (t) h w d of each file -> (t) h w 3 of each"""
    if not tokens:
        return []
    if (count := sum(one[..., 0].numel() for one in tokens)) < FEWEST_PATCHES:
        raise UserError(
            f"Three directions in which patches differ take {FEWEST_PATCHES} of them, and the last layer has {count} "
            "in all; name more images, or see its earlier layers with --inside."
        )
    return in_three_colors(torch.cat([*tokens])).unbind()


def refuse_of_features(**given: Any) -> None:
    """Options that are given beside the method `features`, and mean nothing there."""
    reasons = {
        "target": f"{FEATURES} are the same whatever the label",
        "layer": f"{FEATURES} are those of the last layer; --inside shows several",
        "head": f"{FEATURES} are of no head; --method attention shows one",
    }
    for name, reason in reasons.items():
        if given[name] is not None:
            raise UserError(f"Leave --{name} out: {reason}.")
