"""What is measured of a classifier, from its logits over a split, and how sure that is."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torchmetrics.functional import classification

from ..errors import UserError

Interval = tuple[float, float]

Z = 1.959964  # of the normal distribution, at 97.5%
BINS = 15  # of the calibration error; Guo et al. 2017 (arXiv:1706.04599)


def classification_metrics(logits: Tensor, labels: Tensor, id2label: Mapping[int, str]) -> dict[str, Any]:
    """b labels, b -> accuracy, top-5 (top-k where there are fewer classes), loss, calibration error (0 to 1), and
    precision, recall and count of each class. A class that is never predicted has the precision 0.
    """
    logits = logits.float()
    classes = logits.shape[-1]
    top = min(5, classes)
    if not logits.isfinite().all():
        raise UserError("The model gives logits that are NaN or infinite; its weights or the pixels are broken.")
    matrix = confusion_matrix(logits.argmax(-1), labels, classes)
    right, predicted, actual = matrix.diagonal(), matrix.sum(0), matrix.sum(1)
    best = logits.topk(top).indices
    return {
        "accuracy": float((best[:, 0] == labels).float().mean()),
        f"top_{top}_accuracy": float((best == labels[:, None]).any(dim=1).float().mean()),
        "loss": float(functional.cross_entropy(logits, labels)),
        "expected_calibration_error": float(calibration_error(logits.softmax(-1), labels)),
        "images": len(labels),
        "classes": {
            id2label[index]: {
                "precision": float(right[index] / predicted[index].clamp(min=1)),
                "recall": float(right[index] / actual[index].clamp(min=1)),
                "images": int(actual[index]),
            }
            for index in range(classes)
        },
    }


def calibration_error(probabilities: Tensor, labels: Tensor) -> Tensor:
    """b labels, b -> one number: the mean distance between confidence and accuracy, over bins of confidence."""
    classes = probabilities.shape[-1]
    return classification.multiclass_calibration_error(probabilities, labels, num_classes=classes, n_bins=BINS)


def confusion_matrix(predicted: Tensor, labels: Tensor, classes: int) -> Tensor:
    """b, b -> actual predicted: counts"""
    return torch.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, classes)


def wilson(share: float, images: int) -> Interval:
    """Of a share of images. Source: Wilson 1927; it stays within 0 and 1, and holds for few images too."""
    if images == 0:
        return 0.0, 1.0
    middle = share + Z**2 / (2 * images)
    spread = Z * (share * (1 - share) / images + Z**2 / (4 * images**2)) ** 0.5
    whole = 1 + Z**2 / images
    return max(0.0, (middle - spread) / whole), min(1.0, (middle + spread) / whole)


def bootstrapped_calibration(
    probabilities: Tensor, labels: Tensor, *, bins: int, resamples: int = 1000, seed: int = 0
) -> Interval:
    """b labels, b -> of the calibration error: the middle 95% over resamples of the images, drawn with replacement."""
    confidence, predicted = probabilities.double().max(dim=-1)
    # What an image adds to the distance between confidence and accuracy in its bin.
    gap = confidence - (predicted == labels).double()
    place = (confidence * bins).ceil().long().sub(1).clamp(0, bins - 1)
    draws = torch.Generator().manual_seed(seed)
    images = len(labels)
    errors = torch.empty(resamples, dtype=torch.float64)
    for row in range(resamples):
        drawn = torch.randint(images, (images,), generator=draws)
        errors[row] = torch.bincount(place[drawn], weights=gap[drawn], minlength=bins).abs().sum() / images
    low, high = errors.quantile(torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    return low, high


def metric_intervals(logits: Tensor, labels: Tensor, metrics: Mapping[str, Any]) -> dict[str, Interval]:
    """b labels, b -> 95%, of the figures that are shares of the images, and of the calibration error."""
    shares = {name: value for name, value in metrics.items() if name.endswith("accuracy")}
    return {
        **{name: wilson(value, len(labels)) for name, value in shares.items()},
        "expected_calibration_error": bootstrapped_calibration(logits.softmax(-1), labels, bins=BINS),
    }
