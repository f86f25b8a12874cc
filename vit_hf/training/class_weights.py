"""How much each class counts in training, and which losses there are for what is to be predicted."""

import torch
from torch import Tensor

from ..errors import UserError, first_few, unknown_name
from .problem import Problem
from .recipe.optimization import LossWord, OptimizationSettings

# By the problem, the usual one first, which is the model's own.
LOSS_WORDS: dict[str, tuple[LossWord, ...]] = {
    "single_label_classification": ("cross_entropy", "bce", "focal"),
    "multi_label_classification": ("bce", "focal"),
    "regression": ("mse", "l1", "huber"),
}
IN_WORDS = {
    "single_label_classification": "one class of each image",
    "multi_label_classification": "several labels of an image",
    "regression": "numbers",
}
# Fields that say something of classes; the first two of one class for each image.
OF_ONE_CLASS = ("logit_adjustment", "distillation")
OF_CLASSES = (*OF_ONE_CLASS, "class_weights", "label_smoothing")


def chosen_loss(settings: OptimizationSettings, problem_type: str) -> LossWord:
    return settings.loss or LOSS_WORDS[problem_type][0]


def refuse_other_problems(settings: OptimizationSettings, problem: Problem) -> None:
    """Raises: UserError for a loss, or a field beside it, that makes no sense of what is to be predicted."""
    kind, word = problem.problem_type, chosen_loss(settings, problem.problem_type)
    if word not in LOSS_WORDS[kind]:
        raise UserError(
            f"optimization.loss: {word} is not for {IN_WORDS[kind]}, which the data has; "
            f"{' or '.join(LOSS_WORDS[kind])} is."
        )
    without = {"regression": OF_CLASSES, "multi_label_classification": OF_ONE_CLASS}.get(kind, ())
    for name in without:
        if getattr(settings, name):
            raise UserError(f"optimization.{name} is not for {IN_WORDS[kind]}, which the data has; leave it out.")
    if settings.logit_adjustment and word == "bce":
        raise UserError(
            "optimization.logit_adjustment is of classes of which one has to win, and bce asks for each by itself; "
            "take class_weights, or another loss."
        )


def counts_for(problem: Problem, field: str) -> tuple[Tensor, int]:
    """-> labels, and the number of images

    Raises: UserError where nobody knows them, and for a class without an image, of which there is nothing to learn.
    """
    if problem.counts is None or problem.images is None:
        raise UserError(
            f"optimization.{field} needs the number of training images of each class, which is not known of a stream "
            "(nor of a Trainer without a problem); give class_weights as numbers, or leave it out."
        )
    if empty := [name for name, count in zip(problem.names, problem.counts, strict=True) if not count]:
        raise UserError(
            f"optimization.{field}: no training image is of {first_few(map(repr, empty), 5)}; add some, or leave the "
            "field out."
        )
    return torch.tensor(problem.counts, dtype=torch.float64), problem.images


def class_weights(settings: OptimizationSettings, problem: Problem) -> Tensor | None:
    """-> labels: of a softmax the factor on each class, balanced ones as scikit-learn's (in the mean over the images
    they are 1); of questions by themselves that on the answer yes, balanced ones as many as there are noes for a yes.
    """
    weights, names = settings.class_weights, problem.names
    if weights is None:
        return None
    if weights == "balanced":
        counts, images = counts_for(problem, "class_weights: balanced")
        several = problem.problem_type == "multi_label_classification"
        if several or chosen_loss(settings, problem.problem_type) == "bce":
            if always := [name for name, count in zip(names, counts.tolist(), strict=True) if count == images]:
                raise UserError(
                    f"optimization.class_weights: balanced: every training image is of {always[0]!r}, so there is "
                    "nothing to balance; leave that label out."
                )
            return ((images - counts) / counts).float()
        return (images / (len(names) * counts)).float()
    if isinstance(weights, list):
        if len(weights) != len(names):
            raise UserError(
                f"optimization.class_weights has {len(weights)} numbers, and the data {len(names)} classes: "
                f"{first_few(names)}."
            )
        return torch.tensor(weights)
    for name in weights:
        if name not in names:
            raise UserError(f"optimization.class_weights: {unknown_name('class', name, names)}")
    return torch.tensor([weights.get(name, 1.0) for name in names])


def logit_shift(settings: OptimizationSettings, problem: Problem) -> Tensor | None:
    """-> labels: what is added to the logits in training, tau times the logarithm of each class's share of the images.

    Source: logit adjustment (arXiv:2007.07314), equation 10.
    """
    if settings.logit_adjustment is None:
        return None
    counts, images = counts_for(problem, "logit_adjustment")
    return (settings.logit_adjustment * (counts / images).log()).float()
