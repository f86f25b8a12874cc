"""transformers' TrainingArguments with the defaults that images need."""

from dataclasses import dataclass, fields
from typing import Any

import transformers

from ..data.words import unknown_name


@dataclass
class TrainingArguments(transformers.TrainingArguments):
    """Keep the image column, and report to nobody unless asked."""

    output_dir: str | None = "outputs"
    remove_unused_columns: bool = False
    report_to: None | str | list[str] = "none"


def refuse_unknown_arguments(training: dict[str, Any]) -> dict[str, Any]:
    known = [field.name for field in fields(TrainingArguments) if field.init]
    for name in training:
        if name not in known:
            raise ValueError(unknown_name("training argument", name, known))
    return training
