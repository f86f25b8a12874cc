"""Batches for the Trainer: ours arrive whole, other people's data sets as lists of records."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

COLUMNS = ("pixel_values", "labels")


def collate(records: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """-> pixel_values b c h w, labels b (whole numbers) or b labels (shares). Whole batches pass as they are."""
    if isinstance(records, Mapping):
        return dict(records)
    first = records[0]
    for column in COLUMNS:
        if column not in first:
            raise ValueError(
                f"The column {column!r} is missing; the data set has {', '.join(map(repr, first))}. Add it (for "
                "pixel_values: the output of the image processor), and let the Trainer keep all columns with "
                "remove_unused_columns=False."
            )
    return {column: torch.stack([torch.as_tensor(record[column]) for record in records]) for column in COLUMNS}
