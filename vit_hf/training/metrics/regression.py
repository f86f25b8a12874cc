"""Figures of a model that says numbers: how far off, and how well in step with what is true."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics import functional as measures

from .intervals import bootstrap, resamples_for
from .ranking import Defined, mean_of_defined


def does_not_vary(values: Tensor) -> Tensor:
    """b targets -> targets (bool)"""
    return values.amax(0) == values.amin(0)


def midranks(values: Tensor) -> Tensor:
    """b targets -> b targets: 1 for the lowest of a target; equal ones have the mean of their places"""
    return Midranks(values)(torch.ones(1, len(values), dtype=torch.float64))[0]


def regression_metrics(outputs: Tensor, labels: Tensor, names: Sequence[str]) -> dict[str, Any]:
    """b targets, b targets -> the means over the targets, and the figures of each.

    R² is undefined (None) for a target that is the same everywhere, and a correlation also where the output is.
    """
    outputs, labels = outputs.double(), labels.double()
    still = does_not_vary(labels)
    undefined = still | does_not_vary(outputs)
    said, true = standardized(outputs, labels)  # torchmetrics takes a sum of squares below 1e-4 for none
    of_target = {
        "mae": per_target(measures.mean_absolute_error, outputs, labels),
        "rmse": [value**0.5 for value in per_target(measures.mean_squared_error, outputs, labels) if value is not None],
        "r2": per_target(measures.r2_score, said, true, but=still),
        "pearson": per_target(measures.pearson_corrcoef, said, true, but=undefined),
        "spearman": per_target(measures.pearson_corrcoef, midranks(outputs), midranks(labels), but=undefined),
    }
    return {
        **{name: mean_of_defined(values) for name, values in of_target.items()},
        "loss": float(measures.mean_squared_error(outputs, labels)),
        "images": len(labels),
        "classes": {
            name: {
                **{figure: values[place] for figure, values in of_target.items()},
                "mean": float(labels[:, place].mean()),
                "images": len(labels),
            }
            for place, name in enumerate(names)
        },
    }


def standardized(outputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """b targets, b targets -> b targets, b targets: both by mean and standard deviation of the labels, which changes
    neither R² nor a correlation"""
    mean, std = labels.mean(0), labels.std(0, correction=0)
    std = torch.where(std > 0, std, 1.0)
    return (outputs - mean) / std, (labels - mean) / std


def per_target(measure: Any, outputs: Tensor, labels: Tensor, *, but: Tensor | None = None) -> list[Defined]:
    """A function of torchmetrics for each target by itself; None for those that `but` names."""
    places = range(labels.shape[1])
    left_out = [False] * len(places) if but is None else but.tolist()
    return [
        None if left_out[place] else float(measure(outputs[:, place].contiguous(), labels[:, place].contiguous()))
        for place in places
    ]


class Midranks:
    """The ranks of values in resamples, in which an image that is drawn twice takes two places."""

    def __init__(self, values: Tensor):
        """n targets"""
        self.columns = []
        for own in values.T:
            ordered, order = own.sort()
            tie = torch.cat([torch.zeros(1, dtype=torch.long), (ordered[1:] != ordered[:-1]).long().cumsum(0)])
            self.columns.append((torch.empty_like(tie).index_copy_(0, order, tie), int(tie[-1]) + 1))

    def __call__(self, counts: Tensor) -> Tensor:
        """r n -> r n targets"""
        ranks = []
        for tie, ties in self.columns:
            each = counts.new_zeros(len(counts), ties).index_add_(1, tie, counts)
            ranks.append((each.cumsum(1) - (each - 1) / 2).index_select(1, tie))
        return torch.stack(ranks, dim=-1)


def ratio(shared: Tensor, ours: Tensor, theirs: Tensor) -> Tensor:
    """... -> ...: of a covariance and two variances the correlation, NaN where one of the two does not vary"""
    return torch.where(ours * theirs > 1e-24, shared / (ours * theirs).sqrt(), torch.nan)


def pearson_of(counts: Tensor, ours: Tensor, theirs: Tensor) -> Tensor:
    """r n, n targets, n targets -> r targets"""
    images = counts.sum(1, keepdim=True)
    # In units of their own spread, or the difference of two large squares is all that is left.
    one, other = (
        (values - values.mean(0)) / values.std(0, correction=0).clamp(min=1e-300) for values in (ours, theirs)
    )
    first, second = counts @ one / images, counts @ other / images
    variances = counts @ one**2 / images - first**2, counts @ other**2 / images - second**2
    return ratio(counts @ (one * other) / images - first * second, *variances)


def spearman_of(counts: Tensor, ours: Tensor, theirs: Tensor) -> Tensor:
    """r n, r n targets, r n targets -> r targets: of ranks, whose mean is the same whatever was drawn"""
    images = counts.sum(1, keepdim=True)
    weights, middle = (counts / images)[..., None], (images[..., None] + 1) / 2
    one, other = (ours - middle) / images[..., None], (theirs - middle) / images[..., None]
    shared, *own = ((weights * product).sum(1) for product in (one * other, one**2, other**2))
    return ratio(shared, *own)


class RegressionSample:
    """The same figures of resamples."""

    def __init__(self, outputs: Tensor, labels: Tensor):
        self.outputs, self.labels = outputs.double(), labels.double()
        self.ranks = Midranks(self.outputs), Midranks(self.labels)

    def __call__(self, counts: Tensor) -> dict[str, Tensor]:
        """r n -> r, or r targets, by name"""
        images, off = counts.sum(1, keepdim=True), self.outputs - self.labels
        squares = counts @ off**2 / images
        # In units of their own spread, or the difference of two large squares is all that is left.
        said, true = standardized(self.outputs, self.labels)
        spread = counts @ true**2 / images - (counts @ true / images) ** 2
        of_target = {
            "mae": counts @ off.abs() / images,
            "rmse": squares.sqrt(),
            "r2": torch.where(spread > 1e-12, 1 - counts @ (said - true) ** 2 / images / spread, torch.nan),
            "pearson": pearson_of(counts, self.outputs, self.labels),
            "spearman": spearman_of(counts, *(ranks(counts) for ranks in self.ranks)),
        }
        means = {name: values.nanmean(1) for name, values in of_target.items()}
        return {**means, "loss": squares.mean(1), **{f"classes.{name}": values for name, values in of_target.items()}}


def regression_intervals(outputs: Tensor, labels: Tensor, names: Sequence[str]) -> dict[str, Any]:
    """As `regression_metrics`, of each figure its interval."""
    resamples = resamples_for(*labels.shape)
    drawn = bootstrap(RegressionSample(outputs, labels), len(labels), resamples=resamples)
    of_targets = {name: values for name, values in drawn.items() if name.startswith("classes.")}
    return {
        **{name: values[0] for name, values in drawn.items() if name not in of_targets},
        "classes": {
            name: {figure.removeprefix("classes."): values[place] for figure, values in of_targets.items()}
            for place, name in enumerate(names)
        },
    }
