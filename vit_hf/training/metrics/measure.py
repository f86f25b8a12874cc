"""The way in: the figures of any problem, for the Trainer's evaluations, for a run's report and for `evaluate`."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import EvalPrediction

from ...data.settings import ProblemType
from ...errors import UserError
from ..problem import Problem
from .multi_label import multi_label_intervals, multi_label_metrics
from .regression import regression_intervals, regression_metrics
from .single_label import single_label_intervals, single_label_metrics


def as_measured(logits: Tensor, labels: Tensor, problem_type: ProblemType) -> tuple[Tensor, Tensor]:
    """b labels, b (labels) -> b labels (float32), and b whole numbers or b labels

    Raises: UserError for logits that are no numbers, a split without images, and labels that do not fit.
    """
    logits = logits.float()
    if not len(logits):
        raise UserError("There is no image to measure the model on; name a split that has some.")
    if not logits.isfinite().all():
        raise UserError("The model gives logits that are NaN or infinite; its weights or the pixels are broken.")
    if problem_type == "single_label_classification":
        return logits, labels.long()
    labels = labels.float().reshape(len(labels), -1)
    if labels.shape != logits.shape:
        raise UserError(
            f"The model gives {logits.shape[-1]} numbers for each image, and the data has {labels.shape[-1]}; measure "
            "it on data with its own labels or targets."
        )
    return logits, labels


def measure(
    logits: Tensor,
    labels: Tensor,
    problem_type: ProblemType,
    names: Sequence[str],
    *,
    thresholds: Sequence[float] | None = None,
) -> dict[str, Any]:
    """b labels, b (or b labels) -> each figure by its name, "images", and "classes" with the figures of each by `names`

    A figure that is undefined, as the AUROC of a class without images, is None. thresholds: the probabilities from
    which on an image has a label, where it may have several; by default one half.
    """
    logits, labels = as_measured(logits, labels, problem_type)
    if problem_type == "regression":
        return regression_metrics(logits, labels, names)
    if problem_type == "multi_label_classification":
        return multi_label_metrics(logits, labels, names, thresholds)
    return single_label_metrics(logits, labels, names)


def measure_intervals(
    logits: Tensor,
    labels: Tensor,
    problem_type: ProblemType,
    names: Sequence[str],
    *,
    thresholds: Sequence[float] | None = None,
) -> dict[str, Any]:
    """As `measure`, with the 95% interval of each figure in its place, or None where that is undefined.

    Wilson's for shares of images, by which the balanced accuracy is one too, and a bootstrap over the images for
    everything else. It takes some seconds for ten thousand images, which an evaluation in the middle of a training has
    no use for.
    """
    logits, labels = as_measured(logits, labels, problem_type)
    if problem_type == "regression":
        return regression_intervals(logits, labels, names)
    if problem_type == "multi_label_classification":
        return multi_label_intervals(logits, labels, names, thresholds)
    return single_label_intervals(logits, labels, names)


def figures_of_split(metrics: dict[str, Any]) -> dict[str, float]:
    """Those of the whole split that are defined, by name: what a log holds."""
    return {
        name: value
        for name, value in metrics.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and name != "images"
    }


class Evaluated:
    """What the Trainer measures at each evaluation: the figures of the split that are defined, without intervals.

    The loss is the model's own, which the Trainer adds up itself.
    """

    def __init__(self, problem: Problem):
        self.problem = problem

    def __call__(self, prediction: EvalPrediction) -> dict[str, float]:
        logits, labels = (torch.as_tensor(values) for values in (prediction.predictions, prediction.label_ids))
        figures = figures_of_split(measure(logits, labels, self.problem.problem_type, self.problem.names))
        return {name: value for name, value in figures.items() if name != "loss"}
