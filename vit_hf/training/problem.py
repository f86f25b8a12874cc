"""What is to be predicted, and of what there is how much to learn from; and by which figure that is judged."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..data.settings import ProblemType
from ..errors import first_few

RARE = 0.2  # of the mean number of images of a class
LOWER_IS_BETTER = ("loss", "expected_calibration_error", "hamming_loss", "mae", "rmse")


@dataclass(frozen=True)
class Problem:
    """names: of the classes, labels or targets, in the order of the outputs.

    counts: the training images of each class or label. None where nobody knows, as of a stream, and of regression.
    images: all training images, of which several labels may share one. None as above.
    target_mean, target_std: of each number to predict, over the training images; None where nobody knows.
    """

    problem_type: ProblemType
    names: Sequence[str]
    counts: Sequence[int] | None = None
    images: int | None = None
    target_mean: Sequence[float] | None = None
    target_std: Sequence[float] | None = None

    @classmethod
    def of(cls, problem_type: ProblemType, names: Sequence[str], labels: np.ndarray | None) -> "Problem":
        """labels: of the training images, n (whole numbers), or n labels (0 and 1 where each may have several)."""
        if labels is None:
            return cls(problem_type, names)
        if problem_type == "regression":
            numbers = labels.reshape(len(labels), -1).astype(np.float64)
            std = np.where(np.ptp(numbers, axis=0) > 0, numbers.std(0), 0)  # which rounding may leave greater than 0
            return cls(problem_type, names, target_mean=numbers.mean(0).tolist(), target_std=std.tolist())
        counts = np.bincount(labels, minlength=len(names)) if labels.ndim == 1 else (labels > 0.5).sum(0)
        return cls(problem_type, names, counts.tolist(), len(labels))

    @property
    def unbalanced(self) -> bool:
        """Whether the rarest class has less than a fifth of what a class has in the mean."""
        return bool(self.counts) and min(self.counts) < RARE * sum(self.counts) / len(self.counts)

    @property
    def headline(self) -> str:
        """The figure by which the best checkpoint is chosen, and which the report and the card say first.

        Of unbalanced classes it is the mean recall of the classes: a model that never names the rare ones has a high
        accuracy, and a balanced accuracy no better than chance.
        """
        if self.problem_type == "regression":
            return "mae"
        if self.problem_type == "multi_label_classification":
            return "macro_f1"
        return "balanced_accuracy" if self.unbalanced else "accuracy"

    def describe(self) -> list[str]:
        """A sentence where classes are unbalanced, and one on the units of numbers."""
        if self.target_mean is not None and self.target_std is not None:
            targets = zip(self.names, self.target_mean, self.target_std, strict=True)
            units = first_few([f"{name} {mean:.4g} ± {std:.4g}" for name, mean, std in targets], 10)
            return [
                f"Targets: {units} (mean and standard deviation of the training images); they are learned in standard "
                "deviations, and said in their own units"
            ]
        if self.problem_type == "regression":
            return [
                f"Targets: {first_few(self.names, 10)} are learned as they are, for their mean and spread are not "
                "known beforehand (as of a stream), or the model has no place for them; best are numbers from about "
                "-1 to 1"
            ]
        if self.counts is None or not self.unbalanced:
            return []
        mean = sum(self.counts) / len(self.counts)
        rare = [
            f"{name} ({count:,})"
            for count, name in sorted(zip(self.counts, self.names, strict=True))
            if count < RARE * mean
        ]
        judged = FIGURES[self.headline].lower()
        ways = "optimization.class_weights: balanced"
        if self.problem_type == "single_label_classification":
            ways += ", optimization.logit_adjustment: 1.0"
        return [
            f"Unbalanced: {first_few(rare, 5)} {'has' if len(rare) == 1 else 'have'} less than a fifth of the "
            f"{mean:,.0f} training images of a class in the mean; headline and best checkpoint go by {judged}. What "
            f"helps rare ones: {ways} or data.sampling: balanced"
        ]


# How people call a figure, by the name that it has among the metrics.
FIGURES = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "macro_f1": "Macro F1",
    "micro_f1": "Micro F1",
    "mcc": "Matthews correlation",
    "auroc": "AUROC",
    "average_precision": "Average precision",
    "exact_match": "Exact match",
    "hamming_loss": "Hamming loss",
    "loss": "Loss",
    "expected_calibration_error": "Expected calibration error",
    "mae": "Mean absolute error",
    "rmse": "Root mean squared error",
    "r2": "R²",
    "pearson": "Pearson correlation",
    "spearman": "Spearman correlation",
    "precision": "Precision",
    "recall": "Recall",
    "f1": "F1",
    "threshold": "Threshold",
}
SHARE_FIGURES = ("accuracy", "balanced_accuracy", "exact_match")


def top_k_of(classes: int) -> int | None:
    """5, or less than half of the classes; None where only the best one would be left, which is the accuracy."""
    k = min(5, (classes - 1) // 2)
    return k if k > 1 else None


def figure_names(problem_type: ProblemType, classes: int) -> list[str]:
    """What `measure` measures of the whole split, in its order."""
    if problem_type == "regression":
        return ["mae", "rmse", "r2", "pearson", "spearman", "loss"]
    if problem_type == "multi_label_classification":
        return ["macro_f1", "micro_f1", "average_precision", "auroc", "exact_match", "hamming_loss", "loss"]
    best = top_k_of(classes)
    top = [f"top_{best}_accuracy"] if best else []
    names = ["accuracy", "balanced_accuracy", "macro_f1", "mcc", "auroc", "average_precision"]
    return [*names, *top, "loss", "expected_calibration_error"]


def title_of(figure: str) -> str:
    """top_5_accuracy -> Top-5 accuracy"""
    if figure.startswith("top_"):
        return figure.replace("top_", "Top-").replace("_accuracy", " accuracy")
    return FIGURES[figure]


def in_digits(value: float) -> str:
    """With four digits after the point; of large ones without, and of tiny ones the first four, for the targets of a
    regression may be of any size."""
    if abs(value) >= 1e5:
        return f"{value:,.0f}"
    return f"{value:.4g}" if 0 < abs(value) < 1e-3 else f"{value:.4f}"


def shown(figure: str, value: float | None) -> str:
    """A share of the images in percent, any other figure as a number, and what is undefined as a line."""
    if value is None:
        return "–"
    return f"{value:.2%}" if figure in SHARE_FIGURES else in_digits(value)
