"""transformers' TrainingArguments with the defaults that images need."""

from dataclasses import dataclass, field, fields
from importlib.util import find_spec
from typing import Any

import torch
import transformers

from ..data.words import unknown_name


@dataclass
class TrainingArguments(transformers.TrainingArguments):
    """Keep the image column, report to nobody unless asked, pin memory only for an accelerator to read, and show a
    loss that is no number, instead of the mean of those before it, which to filter out waits for the device.
    """

    output_dir: str | None = "outputs"
    remove_unused_columns: bool = False
    ddp_find_unused_parameters: bool | None = False  # all are used, and looking for others costs each step
    logging_nan_inf_filter: bool = False
    report_to: str | list[str] | None = "none"
    dataloader_pin_memory: bool = field(default_factory=torch.accelerator.is_available)


REPORTERS = {"tensorboard": "tensorboard", "trackio": "trackio", "wandb": "wandb", "mlflow": "mlflow"}


def refuse_missing_reporters(report_to: Any) -> None:
    """Raises: ValueError for a reporter whose library is not installed, before any data is read."""
    for name in [report_to] if isinstance(report_to, str) else report_to or []:
        if name in REPORTERS and find_spec(REPORTERS[name]) is None:
            raise ValueError(
                f"training.report_to: {name} is not installed; pip install {REPORTERS[name]}, or leave the field out."
            )


def refuse_unknown_arguments(training: dict[str, Any]) -> dict[str, Any]:
    known = [argument.name for argument in fields(TrainingArguments) if argument.init]
    for name in training:
        if name not in known:
            raise ValueError(unknown_name("training argument", name, known))
    refuse_missing_reporters(training.get("report_to"))
    return training
