"""What the heads minimise."""

import torch
from torch import Tensor
from torch.nn import functional

Int = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)


def classification_loss(logits: Tensor, labels: Tensor, config) -> Tensor:
    """b labels, and b (whole numbers) or b labels (shares) -> one number: cross-entropy, mean over the batch.

    `config.label_smoothing` spreads its share of the target evenly. With `config.problem_type` "regression" the
    loss is the mean squared error, with "multi_label_classification" each label's own binary cross-entropy.

    Raises: ValueError for labels outside the range, or of a shape or kind that the problem does not take.
    """
    labels = labels.to(logits.device)
    if config.problem_type == "regression" or (config.problem_type is None and config.num_labels == 1):
        return functional.mse_loss(logits, as_shaped(labels, logits))
    if config.problem_type == "multi_label_classification":
        return functional.binary_cross_entropy_with_logits(logits, as_shaped(labels, logits))
    labels = check_labels(labels, logits) if labels.dtype in Int else as_shaped(labels, logits)
    return functional.cross_entropy(logits, labels, label_smoothing=config.label_smoothing)


def as_shaped(labels: Tensor, logits: Tensor) -> Tensor:
    """Labels with one number for each logit, in the logits' dtype."""
    if labels.numel() != logits.numel() or labels.shape[0] != logits.shape[0]:
        raise ValueError(
            f"Labels of shape {tuple(labels.shape)} do not fit logits of shape {tuple(logits.shape)}: give whole "
            "numbers of shape (batch,) for one class each, or shares of shape (batch, num_labels)."
        )
    return labels.reshape(logits.shape).to(logits.dtype)


def check_labels(labels: Tensor, logits: Tensor) -> Tensor:
    """b -> b: labels as class numbers. Only where reading them costs nothing are their values checked."""
    if labels.shape != logits.shape[:1]:
        raise ValueError(
            f"Labels of shape {tuple(labels.shape)} do not fit a batch of {logits.shape[0]}: give one whole number "
            f"for each image, or shares of shape (batch, {logits.shape[1]}) as floats."
        )
    if labels.device.type == "cpu" and not torch.compiler.is_compiling():
        wrong = labels[(labels < 0) | (labels >= logits.shape[1])]
        if wrong.numel():
            raise ValueError(
                f"Label {wrong[0].item()} is outside 0 to {logits.shape[1] - 1}, the classes of this model; "
                "load it with the num_labels or id2label of your data."
            )
    return labels.long()


def masked_pixel_loss(reconstruction: Tensor, pixel_values: Tensor, mask: Tensor) -> Tensor:
    """b c h w, b c h w, b 1 h w -> one number: mean absolute error of the masked pixels.

    Source: SimMIM (arXiv:2111.09886), released code, whose 1e-5 keeps an empty mask finite.
    """
    error = functional.l1_loss(reconstruction, pixel_values.to(reconstruction.dtype), reduction="none")
    mask = mask.to(error.dtype)
    return (error * mask).sum() / (mask.sum() + 1e-5) / pixel_values.shape[1]
