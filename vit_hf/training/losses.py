"""What training minimizes, where that is not the model's own loss."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..data.decode.preparation import ClipPreparation, Preparation
from ..errors import UserError, first_few
from ..modality import modality_of
from ..models.target_units import errors_in_std
from .class_weights import LOSS_WORDS, chosen_loss, class_weights, logit_shift, refuse_other_problems
from .problem import Problem
from .progressive_resizing import resize_batch
from .recipe.optimization import OptimizationSettings

Teacher = Callable[[Tensor], Tensor]  # b c h w, as the student sees it -> b labels
Loss = Callable[[Tensor, Tensor], Tensor]  # b labels, b or b labels -> one number


def as_shares(labels: Tensor, classes: int) -> Tensor:
    """b whole numbers, or b labels -> b labels: how much of each image belongs to each class."""
    return labels if labels.is_floating_point() else functional.one_hot(labels.long(), classes).float()


def smooth(shares: Tensor, smoothing: float) -> Tensor:
    """b labels -> b labels: a part of the target spread evenly over all labels."""
    return shares * (1 - smoothing) + smoothing / shares.shape[-1]


def cross_entropy(
    logits: Tensor, labels: Tensor, smoothing: float = 0.0, *, weights: Tensor | None = None, gamma: float = 0.0
) -> Tensor:
    """b labels, b or b labels -> one number, mean over the images

    weights: labels, a factor on what belongs to each class. The mean is over the images and not over their weights, so
    that the parts of a batch add up to the whole. gamma: of the focal loss (arXiv:1708.02002); 0 is plain.
    """
    if weights is None and not gamma:
        target = labels if labels.is_floating_point() else labels.long()
        return functional.cross_entropy(logits.float(), target, label_smoothing=smoothing)
    shares = smooth(as_shares(labels, logits.shape[-1]), smoothing)
    surprise = -logits.float().log_softmax(-1)
    terms = shares * surprise if weights is None else weights * shares * surprise
    if gamma:
        terms = terms * wrongness(surprise, gamma)
    return terms.sum(-1).mean()


def wrongness(surprise: Tensor, gamma: float) -> Tensor:
    """... -> ...: of -log p the factor (1 - p)^gamma, by which the focal loss passes over what is right already"""
    return (-torch.expm1(-surprise)).clamp(min=1e-12) ** gamma  # at 0 the slope of a root is infinite


def binary_cross_entropy(
    logits: Tensor,
    labels: Tensor,
    smoothing: float = 0.0,
    *,
    weights: Tensor | None = None,
    gamma: float = 0.0,
    several: bool = False,
) -> Tensor:
    """b labels, b or b labels -> one number: each label as a question of its own, mean over images and labels.

    weights: labels, a factor on the answer yes. gamma: of the focal loss, in which each answer is one. several: whether
    an image may have several labels, each of which is then smoothed toward one half; else their shares are of a whole.
    Source: DeiT III (arXiv:2204.07118), released code.
    """
    shares = as_shares(labels, logits.shape[-1])
    target = smooth(shares, smoothing) if not several else shares * (1 - smoothing) + smoothing / 2
    if not gamma:
        return functional.binary_cross_entropy_with_logits(logits.float(), target.float(), pos_weight=weights)
    yes, no = -functional.logsigmoid(logits.float()), -functional.logsigmoid(-logits.float())
    said_yes = target * yes * wrongness(yes, gamma)
    terms = (said_yes if weights is None else weights * said_yes) + (1 - target) * no * wrongness(no, gamma)
    return terms.mean()


# Each of how far off the numbers are, b targets, and of none.
REGRESSION_LOSSES = {"mse": functional.mse_loss, "l1": functional.l1_loss, "huber": functional.huber_loss}


def regression_loss(word: str, std: Sequence[float] | None) -> Loss:
    """A mean over images and targets, in standard deviations of each target where they are known."""

    def loss(outputs: Tensor, labels: Tensor) -> Tensor:
        errors = errors_in_std(outputs.float(), labels.reshape(outputs.shape).float(), std)
        return REGRESSION_LOSSES[word](errors, torch.zeros_like(errors))

    return loss


def loss_of(settings: OptimizationSettings, problem: Problem) -> Loss:
    """What a recipe says in `optimization.loss` and beside it, for what is to be predicted."""
    word = chosen_loss(settings, problem.problem_type)
    if word in REGRESSION_LOSSES:
        return regression_loss(word, problem.target_std)
    several = problem.problem_type == "multi_label_classification"
    kind = partial(binary_cross_entropy, several=several) if several or word == "bce" else cross_entropy
    gamma = settings.focal_gamma if word == "focal" else 0.0
    weights, shift = class_weights(settings, problem), logit_shift(settings, problem)

    def loss(logits: Tensor, labels: Tensor) -> Tensor:
        own = None if weights is None else weights.to(logits.device)
        moved = logits if shift is None else logits.float() + shift.to(logits.device)
        return kind(moved, labels, settings.label_smoothing, weights=own, gamma=gamma)

    return loss


def distillation(student: Tensor, teacher: Tensor, *, kind: str, temperature: float) -> Tensor:
    """b labels, b labels -> one number, mean over images.

    "soft": the divergence of the student from the teacher, both at the temperature, times its square, which keeps
    the gradient's size (arXiv:1503.02531). "hard": cross-entropy with the teacher's best class (arXiv:2012.12877).
    """
    if kind == "hard":
        return functional.cross_entropy(student.float(), teacher.argmax(-1))
    ours, theirs = ((logits.float() / temperature).log_softmax(-1) for logits in (student, teacher))
    return functional.kl_div(ours, theirs, reduction="batchmean", log_target=True) * temperature**2


def logits_of_heads(outputs: Any) -> tuple[Tensor, Tensor]:
    """-> b labels, b labels: what learns from labels, and what from a teacher: one and the same without a token."""
    mean, taught = outputs.logits, getattr(outputs, "distillation_logits", None)
    return (mean, mean) if taught is None else (2 * mean - taught, taught)


class Objective:
    """The loss of a recipe: on labels of whole numbers or shares, and on what a teacher says."""

    def __init__(self, settings: OptimizationSettings, problem: Problem, teacher: Teacher | None = None):
        self.settings = settings
        self.teacher = teacher
        self.on_labels = loss_of(settings, problem)

    def __call__(self, model: nn.Module, inputs: dict[str, Any]) -> tuple[Tensor, Any]:
        """-> loss and outputs of the model, which never sees the labels."""
        inputs = dict(inputs)
        labels = inputs.pop("labels")
        outputs = model(**inputs)
        ours, pupil = logits_of_heads(outputs)
        loss = self.on_labels(ours, labels)
        taught = self.settings.distillation
        if taught is not None and self.teacher is not None:
            with torch.no_grad():
                said = self.teacher(inputs["pixel_values"])
            lesson = distillation(pupil, said, kind=taught.kind, temperature=taught.temperature)
            loss = (1 - taught.alpha) * loss + taught.alpha * lesson
        return loss, outputs


def build_objective(
    settings: OptimizationSettings, teacher: Teacher | None, problem: Problem | None = None
) -> Objective | None:
    """None where the model's own loss is what is meant. Without a problem one class of each image is predicted.

    Raises: UserError for what makes no sense of this problem.
    """
    if settings.distillation is not None and teacher is None:
        raise UserError("optimization.distillation needs a teacher; give the Trainer one.")
    problem = problem or Problem("single_label_classification", ())
    refuse_other_problems(settings, problem)
    changes = (settings.label_smoothing, settings.distillation, settings.class_weights, settings.logit_adjustment)
    usual = chosen_loss(settings, problem.problem_type) == LOSS_WORDS[problem.problem_type][0]
    return None if usual and not any(changes) else Objective(settings, problem, teacher)


def label_order(
    theirs: Sequence[str],
    ours: Sequence[str],
    whose: str = "The teacher",
    way_out: str = "Take a teacher of these classes.",
) -> list[int]:
    """The number that the model that `whose` names has for each of our labels.

    Raises: UserError, ending in the `way_out`, unless it knows them all.
    """
    if unknown := [name for name in ours if name not in theirs]:
        raise UserError(
            f"{whose} does not know the labels {first_few(map(repr, unknown), 5)}; it knows "
            f"{first_few(map(repr, theirs), 10)}. {way_out}"
        )
    return [list(theirs).index(name) for name in ours]


class TeacherLogits:
    """b ... c h w, as the student sees them -> b labels, in the student's order."""

    def __init__(self, model: Any, processor: Any, student: Preparation | ClipPreparation, labels: Sequence[str]):
        self.model: nn.Module = model.eval().requires_grad_(False)
        self.order = torch.tensor(
            label_order([model.config.id2label[i] for i in range(model.config.num_labels)], labels)
        )
        channels = getattr(model.config, "num_channels", 3)
        if channels != student.channels:
            raise UserError(f"The teacher takes images of {channels} channels, the student of {student.channels}.")
        if (modality := modality_of(model.config)) is not student.modality:
            raise UserError(
                f"The teacher takes {modality.plural}, the student {student.modality.plural}; take two of a kind."
            )
        theirs = modality.preparation(processor, channels)
        # Back to pixels from 0 to 1, and from there to the teacher's scale: one factor and one shift.
        self.factor = student.std / theirs.std
        self.shift = (student.mean - theirs.mean) / theirs.std
        side = getattr(model.config, "image_size", None)
        self.size = (side, side) if isinstance(side, int) else side and tuple(side)

    @torch.no_grad()
    def __call__(self, pixel_values: Tensor) -> Tensor:
        device = pixel_values.device
        self.model.to(device)
        pixels = pixel_values * self.factor.to(device) + self.shift.to(device)
        if self.size:
            pixels = resize_batch(pixels, self.size)
        return self.model(pixel_values=pixels).logits[:, self.order.to(device)]
