"""Figures of a classifier that says of each label whether an image has it, and the thresholds at which it says so."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torchmetrics.functional import classification

from .intervals import bootstrap, resamples_for, wilson
from .ranking import Ranking, mean_of_defined, rank_figures

HALF = 0.5


def choose_thresholds(logits: Tensor, labels: Tensor) -> list[float]:
    """b labels, b labels (0 and 1) -> of each label the probability from which on saying yes gives the highest F1.

    In the middle between two probabilities, and of equally good ones the nearest to one half; one half where no image
    has the label. Choose them on images that nothing is reported of.
    """
    probabilities, truth = logits.double().sigmoid(), labels > HALF
    return [best_threshold(own, true) for own, true in zip(probabilities.T, truth.T, strict=True)]


def best_threshold(probabilities: Tensor, truth: Tensor) -> float:
    """b, b (bool) -> one number"""
    positive = truth.sum()
    if not positive:
        return HALF
    ordered, order = probabilities.sort(descending=True)
    right = truth[order].cumsum(0)
    f1 = 2 * right / (torch.arange(1, len(right) + 1) + positive)
    below = torch.cat([ordered[1:], ordered.new_zeros(1)])
    possible = ordered > below  # what is as probable falls on one side
    best = possible & (f1 >= f1[possible].max() - 1e-12)
    middles = ((ordered + below) / 2)[best]
    inside = (ordered >= HALF) & (below < HALF)
    if (best & inside).any():
        return HALF
    return float(middles[(middles - HALF).abs().argmin()])


def said_at(logits: Tensor, thresholds: Sequence[float] | None) -> Tensor:
    """b labels -> b labels (bool): which labels are said to be there"""
    limits = torch.full((logits.shape[-1],), HALF) if thresholds is None else torch.as_tensor(thresholds)
    return logits.double().sigmoid() >= limits.double()


def multi_label_metrics(
    logits: Tensor, labels: Tensor, names: Sequence[str], thresholds: Sequence[float] | None = None
) -> dict[str, Any]:
    """b labels, b labels (0 and 1) -> the figures of the split, and those of each label.

    A label that no image has is left out of the means of AUROC and average precision, and of macro F1 where it is not
    said either.
    """
    said, truth = said_at(logits, thresholds), labels > HALF
    many, guesses, target = logits.shape[-1], said.long(), truth.long()
    right, chosen, actual = (said & truth).sum(0), said.sum(0), truth.sum(0)
    f1 = 2 * right / (chosen + actual).clamp(min=1)
    areas, precisions = rank_figures(logits.double().sigmoid(), truth)
    limits = [HALF] * many if thresholds is None else [float(limit) for limit in thresholds]
    how = {"num_labels": many, "validate_args": False}
    return {
        "macro_f1": float(f1[chosen + actual > 0].mean()) if (said | truth).any() else 0.0,
        "micro_f1": float(classification.multilabel_f1_score(guesses, target, average="micro", **how)),
        "average_precision": mean_of_defined(precisions),
        "auroc": mean_of_defined(areas),
        "exact_match": float(classification.multilabel_exact_match(guesses, target, **how)),
        "hamming_loss": float(classification.multilabel_hamming_distance(guesses, target, average="micro", **how)),
        "loss": float(functional.binary_cross_entropy_with_logits(logits, labels.float())),
        "images": len(labels),
        "classes": {
            name: {
                "threshold": limits[place],
                "precision": float(right[place] / chosen[place].clamp(min=1)),
                "recall": float(right[place] / actual[place].clamp(min=1)),
                "f1": float(f1[place]),
                "auroc": areas[place],
                "average_precision": precisions[place],
                "images": int(actual[place]),
            }
            for place, name in enumerate(names)
        },
    }


class MultiLabelSample:
    """The same figures of resamples; those that are shares have intervals of their own."""

    def __init__(self, logits: Tensor, labels: Tensor, said: Tensor):
        truth = labels > HALF
        self.said, self.truth, self.right = said.double(), truth.double(), (said & truth).double()
        self.wrong = (said != truth).double().mean(1)
        self.losses = functional.binary_cross_entropy_with_logits(logits.double(), labels.double(), reduction="none")
        self.ranking = Ranking(logits.double().sigmoid(), truth)

    def __call__(self, counts: Tensor) -> dict[str, Tensor]:
        """r n -> r, or r labels, by name"""
        images = counts.sum(1)
        right, either = counts @ self.right, counts @ (self.said + self.truth)
        areas, precisions = self.ranking(counts)
        return {
            "macro_f1": (2 * right / either).nanmean(1),
            "micro_f1": 2 * right.sum(1) / either.sum(1),
            "average_precision": precisions.nanmean(1),
            "auroc": areas.nanmean(1),
            "hamming_loss": counts @ self.wrong / images,
            "loss": counts @ self.losses.mean(1) / images,
            "classes.f1": 2 * right / either,
            "classes.auroc": areas,
            "classes.average_precision": precisions,
        }


def multi_label_intervals(
    logits: Tensor, labels: Tensor, names: Sequence[str], thresholds: Sequence[float] | None = None
) -> dict[str, Any]:
    """As `multi_label_metrics`, of each figure its interval."""
    said, truth = said_at(logits, thresholds), labels > HALF
    images, many = logits.shape
    drawn = bootstrap(MultiLabelSample(logits, labels, said), images, resamples=resamples_for(images, many))
    right, chosen, actual = (hits.sum(0).tolist() for hits in (said & truth, said, truth))
    of_labels = {name: values for name, values in drawn.items() if name.startswith("classes.")}
    return {
        **{name: values[0] for name, values in drawn.items() if name not in of_labels},
        "exact_match": wilson(float((said == truth).all(1).double().mean()), images),
        "classes": {
            name: {
                "precision": wilson(right[place] / max(1, chosen[place]), chosen[place]),
                "recall": wilson(right[place] / max(1, actual[place]), actual[place]),
                **{figure.removeprefix("classes."): values[place] for figure, values in of_labels.items()},
            }
            for place, name in enumerate(names)
        },
    }
