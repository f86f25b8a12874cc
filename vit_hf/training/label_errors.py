"""Labels that a model doubts for good reason: confident learning (Northcutt et al., arXiv:1911.00068).

The probabilities have to be of a model that did not learn from these labels: of a split held out, or out of fold.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from .calibration import MULTI_LABEL


@dataclass(frozen=True)
class Suspects:
    """Labels that are probably wrong, the surest first.

    rows: n, which images. label: n, the class that each was given or, of several labels, the class in question.
    suggested: n, the likelier class; of several labels the same class, which then is given where it was not, and not
    where it was. confidence: n, the probability of what is suggested. margin: n, by how much that is more than the
    probability of what was given.
    """

    rows: Tensor
    label: Tensor
    suggested: Tensor
    confidence: Tensor
    margin: Tensor

    def __len__(self) -> int:
        return len(self.rows)


def class_thresholds(probabilities: Tensor, labels: Tensor) -> Tensor:
    """b labels, b -> labels: how sure the model is of a class, in the mean over the images that were given it; more
    than 1, which no image reaches, for a class without images."""
    classes = probabilities.shape[-1]
    own = probabilities.gather(1, labels[:, None])[:, 0]
    sums = torch.zeros(classes, dtype=probabilities.dtype).index_add_(0, labels, own)
    counts = torch.bincount(labels, minlength=classes)
    return torch.where(counts > 0, sums / counts.clamp(min=1), torch.full_like(sums, 2.0))


def likely_classes(probabilities: Tensor, labels: Tensor) -> Tensor:
    """b labels, b -> b: of the classes whose threshold an image reaches the likeliest; -1 where it reaches none."""
    reached = probabilities >= class_thresholds(probabilities, labels)
    best = torch.where(reached, probabilities, torch.full_like(probabilities, -1.0)).max(-1)
    return torch.where(best.values >= 0, best.indices, torch.full_like(best.indices, -1))


def confident_joint(probabilities: Tensor, labels: Tensor) -> Tensor:
    """b labels, b -> given likely: how many images of each given class are confidently of each class. Equation 1."""
    classes, likely = probabilities.shape[-1], likely_classes(probabilities, labels)
    counted = likely >= 0
    return torch.bincount(labels[counted] * classes + likely[counted], minlength=classes**2).reshape(classes, classes)


def suspected_labels(logits: Tensor, labels: Tensor, problem_type: str | None = None) -> Suspects:
    """b labels, and b (classes) or b labels (0 and 1, "multi_label_classification", each class a question of its own).

    Suspected is what lies beside the diagonal of the confident joint, ranked by the normalized margin.
    """
    if problem_type == MULTI_LABEL:
        return suspected_answers(logits.double().sigmoid(), labels)
    return suspected_classes(logits.double().softmax(-1), labels.long())


def suspected_classes(probabilities: Tensor, labels: Tensor) -> Suspects:
    """b labels, b -> images whose likely class is another than the given one"""
    likely = likely_classes(probabilities, labels)
    rows = ((likely >= 0) & (likely != labels)).nonzero()[:, 0]
    given = probabilities[rows].gather(1, labels[rows, None])[:, 0]
    confidence = probabilities[rows].gather(1, likely[rows, None])[:, 0]
    return ranked(Suspects(rows, labels[rows], likely[rows], confidence, confidence - given))


def suspected_answers(shares: Tensor, labels: Tensor) -> Suspects:
    """b labels, b labels of 0 and 1 -> answers whose opposite is likely"""
    found = []
    for label in range(shares.shape[-1]):
        both = torch.stack([1 - shares[:, label], shares[:, label]], dim=-1)
        found.append(suspected_classes(both, labels[:, label].long()))
    of_class = torch.cat([torch.full_like(each.rows, label) for label, each in enumerate(found)])
    rows, confidence, margin = (
        torch.cat([getattr(each, name) for each in found]) for name in ("rows", "confidence", "margin")
    )
    return ranked(Suspects(rows, of_class, of_class, confidence, margin))


def ranked(suspects: Suspects) -> Suspects:
    """By the margin, the largest first."""
    order = suspects.margin.argsort(descending=True, stable=True)
    return Suspects(
        suspects.rows[order],
        suspects.label[order],
        suspects.suggested[order],
        suspects.confidence[order],
        suspects.margin[order],
    )
