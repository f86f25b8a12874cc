"""Which columns of a table hold the image and the label, and what the labels are called."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from datasets import ClassLabel, Dataset, Image, Value, Video

from ...errors import UserError, unknown_name
from ..settings import DataSettings
from .label_columns import Labels, columns_of_labels, labels_in

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


def names_of_classes(feature: Any) -> list[str] | None:
    """Of a column of classes, or of lists of them, that knows their names."""
    inner = getattr(feature, "feature", feature)
    inner = inner[0] if isinstance(inner, list) and len(inner) == 1 else inner
    return list(inner.names) if isinstance(inner, ClassLabel) else None


class ValuesOf(Mapping):
    """The columns of a table or a stream that may hold labels: none is read before it is asked for."""

    def __init__(self, table: Any, names: list[str]):
        self.table, self.names = table, names

    def __getitem__(self, name: str) -> list[Any]:
        return list(self.table[check_column("label", name, self.table.column_names)])

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def __contains__(self, name: object) -> bool:
        return name in self.names


def find_typed_labels(table: Any, candidates: list[str], settings: DataSettings, values: Any) -> Labels:
    """As `find_labels`; of columns that know their classes no value is read."""
    typed = {name: names for name in candidates if (names := names_of_classes(table.features[name]))}
    columns = ValuesOf(table if values is None else values, candidates)
    named = columns_of_labels(columns, settings, typed)
    if len(named) == 1 and (names := typed.get(named[0])):
        several = not isinstance(table.features[named[0]], ClassLabel)
        kind = "multi_label_classification" if several else settings.problem_type or "single_label_classification"
        return Labels((named[0],), names, kind, dict(enumerate(range(len(names)))))
    return labels_in({name: columns[name] for name in named}, settings, typed)


@dataclass(frozen=True)
class Columns:
    image: str
    labels: Labels
    group: str | None

    @classmethod
    def of(cls, table: Any, settings: DataSettings, *, values: Any = None) -> "Columns":
        """Found in a table, or in a stream of one. Labels without a type are named after the `values` of another."""
        image = find_image_column(table, settings.image_column)
        if (group := settings.group_column) is not None:
            check_column("group", group, table.column_names)
        files = (Image, Video)
        candidates = [
            name
            for name, feature in table.features.items()
            if name not in (image, group) and not isinstance(feature, files) and not is_bytes(feature)
        ]
        return cls(image, find_typed_labels(table, candidates, settings, values), group)

    @property
    def all(self) -> list[str]:
        return [self.image, *self.labels.columns, *([self.group] if self.group else [])]
