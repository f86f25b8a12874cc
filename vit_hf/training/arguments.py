"""transformers' TrainingArguments with the defaults that images need."""

from dataclasses import dataclass, field, fields
from typing import Any

import torch
import transformers

from ..data.words import unknown_name


@dataclass
class TrainingArguments(transformers.TrainingArguments):
    """Keep the image column, report to nobody unless asked, pin memory only for an accelerator to read, and show a
    loss that is no number, instead of the mean of those before it.
    """

    output_dir: str | None = "outputs"
    remove_unused_columns: bool = False
    ddp_find_unused_parameters: bool | None = False  # all are used, and looking for others costs each step
    logging_nan_inf_filter: bool = False
    report_to: str | list[str] | None = "none"
    dataloader_pin_memory: bool = field(default_factory=torch.accelerator.is_available)


def refuse_unknown_arguments(training: dict[str, Any]) -> dict[str, Any]:
    known = [argument.name for argument in fields(TrainingArguments) if argument.init]
    for name in training:
        if name not in known:
            raise ValueError(unknown_name("training argument", name, known))
    return training
