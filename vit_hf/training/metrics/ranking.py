"""How well scores put the images of a label before the others: AUROC and average precision, label by label."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torchmetrics.functional import classification

Defined = float | None  # None where it is undefined


def mean_of_defined(values: Sequence[Defined]) -> Defined:
    """Without those of labels that no image has, or all have, as torchmetrics and scikit-learn do."""
    defined = [value for value in values if value is not None]
    return sum(defined) / len(defined) if defined else None


def rank_figures(scores: Tensor, truth: Tensor) -> tuple[list[Defined], list[Defined]]:
    """n labels (from 0 to 1), n labels (bool) -> AUROC and average precision of each label"""
    areas: list[Defined] = []
    precisions: list[Defined] = []
    for own, true in zip(scores.T.contiguous(), truth.T.long(), strict=True):
        positive, images = int(true.sum()), len(true)
        mixed = 0 < positive < images
        areas.append(float(classification.binary_auroc(own, true, validate_args=False)) if mixed else None)
        precise = classification.binary_average_precision(own, true, validate_args=False) if positive else None
        precisions.append(None if precise is None else float(precise))
    return areas, precisions


class Ties(NamedTuple):
    """The images by falling score, and of each group of equal scores in which there are images of the label: where it
    begins and ends, and how many images of the label come up to its end.

    Groups without images of the label need no look: that makes a rare label cheap.
    """

    order: Tensor  # n
    positive: Tensor  # the places in that order of the images of the label
    begins: Tensor
    ends: Tensor
    up_to: Tensor

    @classmethod
    def of(cls, scores: Tensor, truth: Tensor) -> "Ties":
        """n, n (bool)"""
        ordered, order = scores.sort(descending=True)
        positive = truth[order].nonzero()[:, 0]
        falling = -ordered
        own, counts = ordered[positive].unique_consecutive(return_counts=True)
        begins, ends = torch.searchsorted(falling, -own), torch.searchsorted(falling, -own, right=True)
        return cls(order, positive, begins, ends, counts.cumsum(0))


class Ranking:
    """The same of resamples. An image that is drawn twice counts twice, and ties count as they do above."""

    def __init__(self, scores: Tensor, truth: Tensor):
        """n labels, n labels (bool)"""
        self.labels = scores.shape[1]
        self.ties = {place: Ties.of(scores[:, place], truth[:, place]) for place in range(self.labels)}

    def __call__(self, counts: Tensor) -> tuple[Tensor, Tensor]:
        """r n -> r labels, r labels: AUROC and average precision, NaN where a resample has no image of the label"""
        areas = counts.new_full((len(counts), self.labels), torch.nan)
        precisions, narrow = areas.clone(), counts.float()  # whole numbers, which it holds up to 16 million
        for place, ties in self.ties.items():
            drawn = narrow.index_select(1, ties.order)
            seen = with_zero(drawn.cumsum(1))
            found = with_zero(drawn.index_select(1, ties.positive).cumsum(1)).index_select(1, ties.up_to)
            new = found.diff(dim=1, prepend=found.new_zeros(len(found), 1))
            before, after = (seen.index_select(1, edges) for edges in (ties.begins, ties.ends))
            others = (before + after - (found - new) - found) / 2  # without the label that come first; of ties, half
            positive, all_of = new.sum(1), seen[:, -1]
            areas[:, place] = 1 - (new * others).sum(1) / (positive * (all_of - positive))
            precisions[:, place] = (new * found / after.clamp(min=1)).sum(1) / positive
        return areas, precisions


def with_zero(sums: Tensor) -> Tensor:
    """r n -> r (1 n): from nothing on"""
    return torch.cat([sums.new_zeros(len(sums), 1), sums], dim=1)
