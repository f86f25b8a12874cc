"""Whether a classifier is as often right as it says it is, and the temperature that makes it so."""

import math
from dataclasses import asdict, dataclass
from typing import Any

from scipy.optimize import minimize_scalar
from torch import Tensor
from torch.nn import functional
from torchmetrics.functional import classification

from .metrics.single_label import BINS, calibration_error

COLDEST, HOTTEST = 0.05, 20.0
FEWEST = 30  # images, below which a temperature would say more of the sample than of the model
MULTI_LABEL = "multi_label_classification"


@dataclass(frozen=True)
class Calibration:
    """temperature: that logits are to be divided by. before, after: expected calibration error (0 to 1) of these
    `images`, which chose the temperature, so that other images will show a little more. note: where it is no plain
    minimum, why."""

    temperature: float
    before: float
    after: float
    images: int
    note: str | None = None

    def record(self, split: str) -> dict[str, Any]:
        """For metrics.json."""
        return {"split": split, **{name: value for name, value in asdict(self).items() if value is not None}}

    def describe(self, split: str) -> str:
        """A sentence for people."""
        how = f", which the {self.images:,} of the {split} split chose" if self.note is None else f" ({self.note})"
        return (
            f"Logits are divided by a temperature of {self.temperature:g}{how}; the expected calibration error there "
            f"is {self.before:.4f} before and {self.after:.4f} after."
        )


def fit_temperature(logits: Tensor, labels: Tensor, problem_type: str | None = None) -> Calibration:
    """b labels, and b (classes) or b labels (0 and 1, "multi_label_classification") -> the temperature, between
    1 / 20 and 20, at which the logits are likeliest to give the labels; never less likely than at 1.

    Where every answer is right, ever colder ones are likelier; then it is at most 1, and no colder than for answers
    that are right in all but one of n + 2 cases (Platt 1999). A few images, or images of one class, leave it at 1.

    Source: Guo et al. 2017 (arXiv:1706.04599), section 4.2.
    """
    logits, multi = logits.double(), problem_type == MULTI_LABEL
    if (why := why_not(logits, labels, multi=multi)) is not None:
        return calibration_at(1.0, logits, labels, multi=multi, note=why)
    flawless = is_flawless(logits, labels, multi=multi)
    doubt = 1 / (labels.numel() + 2) if flawless else 0.0

    def loss(log_temperature: float) -> float:
        return negative_log_likelihood(logits / math.exp(log_temperature), labels, multi=multi, doubt=doubt)

    bounds = (math.log(COLDEST), 0.0 if flawless else math.log(HOTTEST))
    found: Any = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-6})
    temperature = round(math.exp(found.x), 4)
    if loss(math.log(temperature)) > loss(0.0):
        temperature = 1.0
    note = f"all {len(labels):,} of validation are right, and it is as sure as that allows" if flawless else None
    if not COLDEST * 1.01 < temperature < HOTTEST / 1.01:
        note = f"the limit: no temperature from {COLDEST:g} to {HOTTEST:g} is best"
    return calibration_at(temperature, logits, labels, multi=multi, note=note)


def why_not(logits: Tensor, labels: Tensor, *, multi: bool) -> str | None:
    """Why nothing can be fitted, as part of a sentence; None where something can."""
    if len(labels) < FEWEST:
        return f"no other, as {len(labels)} of validation are too few to choose one"
    if not logits.isfinite().all():
        return "no other, as some logits are no numbers"
    if len(labels.unique()) < 2:
        return "no other, as validation holds one class alone" if not multi else "no other, as no label ever varies"
    return None


def calibration_at(temperature: float, logits: Tensor, labels: Tensor, *, multi: bool, note: str | None) -> Calibration:
    finite = bool(len(labels)) and bool(logits.isfinite().all())
    before, after = (
        error_of_problem(logits / divisor, labels, multi=multi) if finite else math.nan for divisor in (1, temperature)
    )
    return Calibration(temperature, before, after, len(labels), note)


def negative_log_likelihood(logits: Tensor, labels: Tensor, *, multi: bool, doubt: float = 0.0) -> float:
    """Mean over images, or over images and labels. doubt: the share of a target that is kept from the right answer."""
    if multi:
        target = labels.double() * (1 - 2 * doubt) + doubt
        return float(functional.binary_cross_entropy_with_logits(logits, target))
    classes = logits.shape[-1]
    # What is taken from one class goes to the others, which `label_smoothing` spreads over all of them.
    smoothing = doubt * classes / max(1, classes - 1)
    return float(functional.cross_entropy(logits, labels.long(), label_smoothing=smoothing))


def is_flawless(logits: Tensor, labels: Tensor, *, multi: bool) -> bool:
    """Whether every answer is right, and none a tie."""
    if multi:
        return bool(((logits > 0) == (labels > 0.5)).all() and (logits != 0).all())
    own = logits.gather(1, labels.long()[:, None])
    others = logits.scatter(1, labels.long()[:, None], -math.inf)
    return bool((own > others.amax(dim=1, keepdim=True)).all())


def error_of_problem(logits: Tensor, labels: Tensor, *, multi: bool) -> float:
    """The expected calibration error: of the best class, or of every label's own probability."""
    if not multi:
        return float(calibration_error(logits.softmax(-1), labels))
    shares, targets = logits.sigmoid().flatten(), labels.flatten().long()
    return float(classification.binary_calibration_error(shares, targets, n_bins=BINS))
