"""Figures of a classifier that names one class of each image."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torchmetrics.functional import classification

from ..problem import top_k_of
from .intervals import Interval, bootstrap, resamples_for, wilson, wilson_of_mean
from .ranking import Ranking, mean_of_defined, rank_figures

BINS = 15  # of the calibration error; Guo et al. 2017 (arXiv:1706.04599)


def confusion_matrix(predicted: Tensor, labels: Tensor, classes: int) -> Tensor:
    """b, b -> actual predicted: counts"""
    return torch.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, classes)


def calibration_error(probabilities: Tensor, labels: Tensor) -> Tensor:
    """b labels, b -> one number: the mean distance between confidence and accuracy, over bins of confidence."""
    classes = probabilities.shape[-1]
    return classification.multiclass_calibration_error(probabilities, labels, num_classes=classes, n_bins=BINS)


def single_label_metrics(logits: Tensor, labels: Tensor, names: Sequence[str]) -> dict[str, Any]:
    """b labels, b -> the figures of the split, and those of each class.

    A class without images is left out of the means of recall, AUROC and average precision, and of macro F1 where it is
    not predicted either. A class that is never predicted has the precision 0.
    """
    classes, predicted = logits.shape[-1], logits.argmax(-1)
    probabilities = logits.double().softmax(-1)
    matrix = confusion_matrix(predicted, labels, classes)
    right, chosen, actual = matrix.diagonal(), matrix.sum(0), matrix.sum(1)
    recall = (right / actual.clamp(min=1)).tolist()
    f1 = classification.multiclass_f1_score(predicted, labels, num_classes=classes, average=None).tolist()
    areas, precisions = rank_figures(probabilities, functional.one_hot(labels, classes).bool())
    there = actual.nonzero()[:, 0].tolist()
    best = top_k_of(classes)
    return {
        "accuracy": float((predicted == labels).double().mean()),
        "balanced_accuracy": sum(recall[place] for place in there) / len(there),
        "macro_f1": float(classification.multiclass_f1_score(predicted, labels, num_classes=classes, average="macro")),
        "mcc": float(matthews(*(counts.double()[None] for counts in (right.sum(), actual, chosen, actual.sum())))),
        "auroc": mean_of_defined(areas),
        "average_precision": mean_of_defined(precisions),
        **({f"top_{best}_accuracy": float(among_best(logits, labels, best).double().mean())} if best else {}),
        "loss": float(functional.cross_entropy(logits, labels)),
        "expected_calibration_error": float(calibration_error(probabilities, labels)),
        "images": len(labels),
        "classes": {
            name: {
                "precision": float(right[place] / chosen[place].clamp(min=1)),
                "recall": recall[place],
                "f1": f1[place],
                "auroc": areas[place],
                "average_precision": precisions[place],
                "images": int(actual[place]),
            }
            for place, name in enumerate(names)
        },
    }


def among_best(logits: Tensor, labels: Tensor, count: int) -> Tensor:
    """b labels, b -> b: whether the label is among so many of the highest logits"""
    return (logits.topk(count).indices == labels[:, None]).any(dim=1)


class SingleLabelSample:
    """The same figures of resamples; those that are shares have intervals of their own."""

    def __init__(self, logits: Tensor, labels: Tensor):
        self.labels, self.predicted, self.classes = labels, logits.argmax(-1), logits.shape[-1]
        self.losses = functional.cross_entropy(logits.double(), labels, reduction="none")
        probabilities = logits.double().softmax(-1)
        self.ranking = Ranking(probabilities, functional.one_hot(labels, self.classes).bool())
        confidence = probabilities.amax(-1)
        self.right = self.predicted == labels
        # What an image adds to the distance between confidence and accuracy in its bin.
        self.gap = confidence - self.right.double()
        self.bin = (confidence * BINS).ceil().long().sub(1).clamp(0, BINS - 1)

    def __call__(self, counts: Tensor) -> dict[str, Tensor]:
        """r n -> r, or r labels, by name"""
        images = counts.sum(1)

        def summed(values: Tensor, places: Tensor, size: int) -> Tensor:
            return counts.new_zeros(len(counts), size).index_add_(1, places, values)

        actual, chosen = (summed(counts, places, self.classes) for places in (self.labels, self.predicted))
        right = summed(counts * self.right, self.labels, self.classes)
        f1 = 2 * right / (actual + chosen)
        areas, precisions = self.ranking(counts)
        return {
            "macro_f1": f1.nanmean(1),
            "mcc": matthews(right.sum(1), actual, chosen, images),
            "auroc": areas.nanmean(1),
            "average_precision": precisions.nanmean(1),
            "loss": counts @ self.losses / images,
            "expected_calibration_error": summed(counts * self.gap, self.bin, BINS).abs().sum(1) / images,
            "classes.f1": f1,
            "classes.auroc": areas,
            "classes.average_precision": precisions,
        }


def matthews(right: Tensor, actual: Tensor, chosen: Tensor, images: Tensor) -> Tensor:
    """r, r labels, r labels, r -> r: the correlation of what is and what is said, 0 where one of them does not vary (of
    two classes torchmetrics gives another number then). Source: Gorodkin 2004.
    """
    shared = right * images - (actual * chosen).sum(1)
    spread = (images**2 - (actual**2).sum(1)) * (images**2 - (chosen**2).sum(1))
    return torch.where(spread > 0, shared / spread.clamp(min=1).sqrt(), 0.0)


def single_label_intervals(logits: Tensor, labels: Tensor, names: Sequence[str]) -> dict[str, Any]:
    """As `single_label_metrics`, of each figure its interval."""
    classes, images = logits.shape[-1], len(labels)
    matrix = confusion_matrix(logits.argmax(-1), labels, classes)
    right, chosen, actual = (counts.tolist() for counts in (matrix.diagonal(), matrix.sum(0), matrix.sum(1)))
    there = [place for place in range(classes) if actual[place]]
    drawn = bootstrap(SingleLabelSample(logits, labels), images, resamples=resamples_for(images, classes))
    best = top_k_of(classes)

    def of_share(hits: int, count: int) -> Interval:
        return wilson(hits / max(1, count), count)

    return {
        "accuracy": of_share(sum(right), images),
        "balanced_accuracy": wilson_of_mean(
            [right[place] / actual[place] for place in there], [actual[place] for place in there]
        ),
        **({f"top_{best}_accuracy": of_share(int(among_best(logits, labels, best).sum()), images)} if best else {}),
        **{name: values[0] for name, values in drawn.items() if not name.startswith("classes.")},
        "classes": {
            name: {
                "precision": of_share(right[place], chosen[place]),
                "recall": of_share(right[place], actual[place]),
                **{
                    figure.removeprefix("classes."): values[place]
                    for figure, values in drawn.items()
                    if figure.startswith("classes.")
                },
            }
            for place, name in enumerate(names)
        },
    }
