"""What the classifier minimizes: transformers' own loss, and beyond it labels that are shares, and smoothing."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ..errors import UserError
from ..models.target_units import errors_in_std


class ClassificationLoss:
    """What classifiers inherit in the package."""

    def loss_function(self, labels: Tensor, logits: Tensor, config: Any) -> Tensor:
        """See `classification_loss`."""
        return classification_loss(logits, labels, config)


def classification_loss(logits: Tensor, labels: Tensor, config) -> Tensor:
    """b labels, and b (whole numbers) or b labels (shares) -> one number: cross-entropy, mean over the batch.

    `config.label_smoothing` spreads its share of the target evenly. With `config.problem_type` "regression" the loss is
    the mean squared error, in standard deviations where `config.target_std` knows them, with
    "multi_label_classification" each label's own binary cross-entropy.

    Raises: UserError for labels outside the range, or of a shape or kind that the problem does not take.
    """
    labels, problem = labels.to(logits.device), config.problem_type
    if problem == "regression" or (problem is None and config.num_labels == 1):
        errors = errors_in_std(logits, as_shaped(labels, logits), getattr(config, "target_std", None))
        return errors.square().mean()
    if problem == "multi_label_classification":
        return functional.binary_cross_entropy_with_logits(logits, as_shaped(labels, logits))
    labels = as_shaped(labels, logits) if labels.is_floating_point() else as_classes(labels, logits)
    return functional.cross_entropy(logits, labels, label_smoothing=config.label_smoothing)


def as_shaped(labels: Tensor, logits: Tensor) -> Tensor:
    """Labels with one number for each logit, in the logits' dtype."""
    if labels.numel() != logits.numel() or labels.shape[0] != logits.shape[0]:
        raise UserError(
            f"Labels of shape {tuple(labels.shape)} do not fit logits of shape {tuple(logits.shape)}: give whole "
            "numbers of shape (batch,) for one class each, or shares of shape (batch, num_labels)."
        )
    return labels.reshape(logits.shape).to(logits.dtype)


def as_classes(labels: Tensor, logits: Tensor) -> Tensor:
    """b -> b: labels as class numbers. Only where reading them costs nothing are their values checked."""
    images, classes = logits.shape
    if labels.shape != (images,):
        raise UserError(
            f"Labels of shape {tuple(labels.shape)} do not fit a batch of {images}: give one whole number "
            f"for each image, or shares of shape (batch, {classes}) as floats."
        )
    if labels.device.type == "cpu" and not torch.compiler.is_compiling():
        wrong = labels[(labels < 0) | (labels >= classes)]
        if wrong.numel():
            raise UserError(
                f"Label {wrong[0].item()} is outside 0 to {classes - 1}, the classes of this model; "
                "load it with the num_labels or id2label of your data."
            )
    return labels.long()
