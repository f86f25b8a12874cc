"""Logistic regression on what the classifier reads: where fine-tuning begins, and what it has to be better than."""

from dataclasses import dataclass

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

STRENGTHS = (0.001, 0.01, 0.1, 1.0)  # of the weights; the inverse of the penalty, as scikit-learn says it
MOST = 20_000  # images that it is fitted to


@dataclass(frozen=True)
class Probe:
    """weight: labels d. bias: labels. strength: the one of `STRENGTHS` that was best on validation. accuracy: there."""

    weight: Tensor
    bias: Tensor
    strength: float
    accuracy: float

    def begin(self, classifier: nn.Linear) -> None:
        """Let the classifier say what the probe says."""
        with torch.no_grad():
            classifier.weight.copy_(self.weight)
            classifier.bias.copy_(self.bias)


def fit_probe(features: Tensor, labels: Tensor, held_out: Tensor, held_out_labels: Tensor, classes: int) -> Probe:
    """b d, b of training and b d, b of validation -> the best of several strengths, on validation.

    Features are brought to one scale first, and that is folded into the weights. More than 20,000 images are thinned
    evenly. A class without an image is never said.
    """
    every = max(1, -(-len(features) // MOST))
    x, y = features[::every].double().numpy(), labels[::every].numpy()
    mean, std = x.mean(0), x.std(0) + 1e-6
    best: Probe | None = None
    for strength in STRENGTHS:
        model = LogisticRegression(C=strength, max_iter=1000).fit((x - mean) / std, y)
        weight, bias = widened(model, classes)
        weight = weight / std
        bias = bias - weight @ mean
        probe = Probe(torch.tensor(weight).float(), torch.tensor(bias).float(), strength, 0.0)
        logits = held_out.float() @ probe.weight.T + probe.bias
        accuracy = float((logits.argmax(-1) == held_out_labels).float().mean())
        if best is None or accuracy > best.accuracy:
            best = Probe(probe.weight, probe.bias, strength, accuracy)
    assert best is not None
    return best


def widened(model: LogisticRegression, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """-> labels d, labels: a row for each class; scikit-learn has one for two classes, and none for what is missing"""
    coefficients, intercepts = np.asarray(model.coef_), np.asarray(model.intercept_)
    if len(model.classes_) == 2:
        coefficients = np.concatenate([-coefficients, coefficients]) / 2
        intercepts = np.concatenate([-intercepts, intercepts]) / 2
    weight, bias = np.zeros((classes, coefficients.shape[1])), np.full(classes, intercepts.min() - 10)
    weight[model.classes_], bias[model.classes_] = coefficients, intercepts
    return weight, bias
