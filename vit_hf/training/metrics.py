"""What is measured of a classifier, from its logits over a split."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torchmetrics.functional import classification

from ..errors import UserError

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
