"""What training minimizes, where that is not the model's own loss."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..data.decode.preparation import ClipPreparation, Preparation
from ..errors import UserError, first_few
from ..modality import modality_of
from .recipe.optimization import OptimizationSettings

Teacher = Callable[[Tensor], Tensor]  # b c h w, as the student sees it -> b labels
Loss = Callable[[Tensor, Tensor], Tensor]  # b labels, b or b labels -> one number


def as_shares(labels: Tensor, classes: int) -> Tensor:
    """b whole numbers, or b labels -> b labels: how much of each image belongs to each class."""
    return labels if labels.is_floating_point() else functional.one_hot(labels.long(), classes).float()


def smooth(shares: Tensor, smoothing: float) -> Tensor:
    """b labels -> b labels: a part of the target spread evenly over all labels."""
    return shares * (1 - smoothing) + smoothing / shares.shape[-1]


def cross_entropy(logits: Tensor, labels: Tensor, smoothing: float = 0.0) -> Tensor:
    """b labels, b or b labels -> one number"""
    target = labels if labels.is_floating_point() else labels.long()
    return functional.cross_entropy(logits.float(), target, label_smoothing=smoothing)


def binary_cross_entropy(logits: Tensor, labels: Tensor, smoothing: float = 0.0) -> Tensor:
    """b labels, b or b labels -> one number: each label as a question of its own, mean over images and labels.

    Source: DeiT III (arXiv:2204.07118), released code.
    """
    target = smooth(as_shares(labels, logits.shape[-1]), smoothing)
    return functional.binary_cross_entropy_with_logits(logits.float(), target.float())


# By what a recipe says in `optimization.loss`.
LOSSES = {"cross_entropy": cross_entropy, "bce": binary_cross_entropy}


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

    def __init__(self, settings: OptimizationSettings, teacher: Teacher | None = None):
        self.settings = settings
        self.teacher = teacher

    def on_labels(self, logits: Tensor, labels: Tensor) -> Tensor:
        return LOSSES[self.settings.loss](logits, labels, self.settings.label_smoothing)

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


def build_objective(settings: OptimizationSettings, teacher: Teacher | None) -> Objective | None:
    """None where the model's own loss is what is meant."""
    if settings.distillation is not None and teacher is None:
        raise UserError("optimization.distillation needs a teacher; give the Trainer one.")
    plain = settings.loss == "cross_entropy" and not settings.label_smoothing and settings.distillation is None
    return None if plain else Objective(settings, teacher)


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
        if self.size and pixels.shape[-2:] != self.size:
            images = pixels.flatten(0, -4)  # those of all clips
            images = functional.interpolate(images, self.size, mode="bilinear", antialias=True, align_corners=False)
            pixels = images.unflatten(0, pixels.shape[:-3])
        return self.model(pixel_values=pixels).logits[:, self.order.to(device)]
