"""Which columns of a table hold the image and the label, and what the labels are called."""

from dataclasses import dataclass
from typing import Any

from datasets import ClassLabel, Dataset, Image, Value, Video

from ...errors import UserError, unknown_name
from ..settings import DataSettings

LABEL_WORDS = ("label", "labels", "class", "target", "category", "fine_label", "coarse_label")
IMAGE_WORDS = ("image", "images", "img", "picture", "photo", "pixels", "jpg", "png", "video", "videos", "clip", "mp4")


def choose_column(what: str, candidates: list[str], columns: list[str]) -> str:
    """The only candidate; several or none are for the user to decide."""
    if len(candidates) == 1:
        return candidates[0]
    found = f"several could be: {', '.join(candidates)}" if candidates else f"none of {', '.join(columns)} is one"
    raise UserError(f"Which column holds the {what}? {found}. Name it with --data.{what}_column.")


def check_column(what: str, name: str, columns: list[str]) -> str:
    if name not in columns:
        raise UserError(f"--data.{what}_column: {unknown_name('column', name, columns)}")
    return name


def is_bytes(feature) -> bool:
    """An image or video whose type got lost: raw bytes, or a record of bytes and path."""
    if isinstance(feature, dict):
        return "bytes" in feature
    return isinstance(feature, Value) and feature.dtype in ("binary", "large_binary")


def find_image_column(table: Dataset, named: str | None) -> str:
    if named is not None:
        return check_column("image", named, table.column_names)
    features = table.features
    candidates = [name for name, feature in features.items() if isinstance(feature, Image | Video)]
    candidates = candidates or [name for name, feature in features.items() if is_bytes(feature)]
    if len(candidates) > 1:
        candidates = [name for name in candidates if name.lower() in IMAGE_WORDS] or candidates
    return choose_column("image", candidates, table.column_names)


def find_label_column(table: Dataset, named: str | None) -> str:
    if named is not None:
        return check_column("label", named, table.column_names)
    features = table.features
    candidates = [name for name, feature in features.items() if isinstance(feature, ClassLabel)]
    candidates = candidates or [name for name in features if name.lower() in LABEL_WORDS]
    return choose_column("label", candidates, table.column_names)


def names_of_labels(table: Dataset, column: str) -> tuple[list[str], dict]:
    """-> the names in the order of the data set, and the number of each value found in the column.

    Texts and bare numbers have no order of their own, and are sorted.
    """
    feature = table.features[column]
    if isinstance(feature, ClassLabel):
        return list(feature.names), {number: number for number in range(len(feature.names))}
    values = set(table[column])
    if None in values:
        raise UserError(f"The label column {column!r} has rows without a label; remove them.")
    if not all(isinstance(value, str | int) for value in values):
        raise UserError(
            f"The label column {column!r} holds {type(next(iter(values))).__name__}; one text or whole number a row "
            "is needed. Name another with --data.label_column."
        )
    ordered = sorted(values)
    return [str(value) for value in ordered], {value: number for number, value in enumerate(ordered)}


@dataclass(frozen=True)
class Columns:
    """numbers: that of the label which a value of the column means."""

    image: str
    label: str
    label_names: list[str]
    numbers: dict[Any, int]

    @classmethod
    def of(cls, table: Any, settings: DataSettings, *, values: Any = None) -> "Columns":
        """Found in a table, or in a stream of one. Labels without a type are named after the `values` of another."""
        image = find_image_column(table, settings.image_column)
        label = find_label_column(table, settings.label_column)
        if values is None or isinstance(table.features[label], ClassLabel):
            return cls(image, label, *names_of_labels(table, label))
        check_column("label", label, values.column_names)
        return cls(image, label, *names_of_labels(values, label))
