"""What the columns of a table say as labels: one class, several labels, or numbers to predict."""

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...errors import UserError, first_few, unknown_name
from ..settings import DataSettings, ProblemType
from .split_names import composed

LABEL_WORDS = ("label", "labels", "class", "target", "category", "fine_label", "coarse_label")
LABEL_WORDS += ("classes", "targets", "categories", "tags", "class_name", "label_name")
SEPARATORS = ("|", ";", ",")
NO_LABELS = ("id", "image_id", "index", "idx", "width", "height", "row")
NO_CLASSES = "or, for one class a cell, --data.problem_type single_label_classification"


def is_empty(value: Any) -> bool:
    return (
        value is None or (isinstance(value, str) and not value.strip()) or (isinstance(value, float) and value != value)
    )


def number_of(value: Any) -> float | None:
    """What a value says as a number, or None."""
    if isinstance(value, str) and not value.strip().lstrip("+-.").lower().startswith(tuple("0123456789in")):
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def class_key(value: Any) -> Any:
    """One key for what means the same class: texts in one spelling of Unicode, and whole numbers as such."""
    if isinstance(value, str):
        return composed(value.strip())
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value.item() if isinstance(value, np.generic) else value


@dataclass(frozen=True)
class Labels:
    """Which columns hold the labels, and what their values mean.

    names: of the classes, or of the numbers to predict. numbers: that of the class of a key. vectors: whether a value
    is a list of numbers, one for each name.
    """

    columns: tuple[str, ...]
    names: list[str]
    problem_type: ProblemType = "single_label_classification"
    numbers: Mapping[Any, int] = field(default_factory=dict)
    separator: str | None = None
    vectors: bool = False
    note: str = ""

    def is_missing(self, values: Sequence[Any]) -> bool:
        """Whether a row has no label. An empty list says that none applies; so does an empty cell, if that is told."""
        if self.problem_type == "multi_label_classification" and len(values) == 1:
            return values[0] is None or (is_empty(values[0]) and self.separator is None)
        return any(is_empty(value) for value in values)

    def of_row(self, values: Sequence[Any]) -> Any:
        """A class's number, or numbers as many as names. Raises: KeyError with a key that is no class, ValueError for
        what is no number."""
        if self.vectors or len(values) > 1:
            row = [*self.parts(values[0])] if self.vectors else values
            found = [number_of(value) for value in row]
            if None in found or len(found) != len(self.names):
                raise ValueError(row)
            return found.index(1.0) if self.problem_type.startswith("single") else found
        if self.problem_type == "regression":
            found = number_of(values[0])
            if found is None or not math.isfinite(found):
                raise ValueError(values[0])
            return [found]
        if self.problem_type == "single_label_classification":
            return self.numbers[class_key(values[0])]
        row = [0.0] * len(self.names)
        for part in self.parts(values[0]):
            row[self.numbers[class_key(part)]] = 1.0
        return row

    def parts(self, value: Any) -> list[Any]:
        return labels_in_cell(value, self.separator)

    def described(self) -> str:
        return f"{'columns' if len(self.columns) > 1 else 'column'} {first_few(self.columns)}{self.note}"


def labels_in_cell(value: Any, separator: str | None) -> list[Any]:
    """The labels in a cell"""
    if isinstance(value, list | tuple | np.ndarray):
        return list(value)
    if isinstance(value, str):
        if value.lstrip().startswith("["):
            return list_in(value) or []
        if separator is not None:
            return [part.strip() for part in value.split(separator) if part.strip()]
    return [] if is_empty(value) else [value]


def list_in(text: Any) -> list[Any] | None:
    """A list that was written into a cell, as ["a", "b"] or ['a', 'b']; None of another text."""
    if not isinstance(text, str) or not (text.strip().startswith("[") and text.strip().endswith("]")):
        return None
    for written in (text, text.replace("'", '"')):
        try:
            return json.loads(written)
        except ValueError:
            continue
    return None


def separator_of(values: Sequence[str], column: str) -> str | None:
    """What stands between several labels of a cell; None where cells hold one each.

    It is taken for one where the labels that it parts occur alone or with others as well. `Paris, France` is one name:
    its parts do not. Raises: UserError where some do and others do not.
    """
    distinct = {*values}
    for sign in SEPARATORS:
        combined = [[part.strip() for part in value.split(sign)] for value in distinct if sign in value]
        if not combined:
            continue
        alone = {value.strip() for value in distinct if sign not in value}
        sets = Counter(part for parts in combined for part in {*parts})
        parts = {part for part in sets if part}
        again = {part for part in parts if part in alone or sets[part] > 1}
        if again == parts and (sign != "," or parts & alone):
            return sign
        if parts & alone or again == parts or sign != ",":
            example = next(value for value in values if sign in value)
            raise UserError(
                f"The label column {column!r} has cells such as {example!r}: one class, or several labels? For "
                f"several, say --data.label_separator {sign!r}; {NO_CLASSES}."
            )
    return None


def classes_of(keys: set[Any], typed: Sequence[str] | None) -> tuple[list[str], dict[Any, int]]:
    """-> names, and the number of each key; of typed columns they have an order of their own"""
    if typed is not None:
        return list(typed), {number: number for number in range(len(typed))}
    all_numbers = all(isinstance(key, int) for key in keys)
    ordered = sorted(keys, key=lambda key: key if all_numbers else str(key))
    return [str(key) for key in ordered], {key: number for number, key in enumerate(ordered)}


def one_column(column: str, values: Sequence[Any], settings: DataSettings, typed: Sequence[str] | None) -> Labels:
    """typed: the names of the classes that the values, or the values in their lists, are numbers of."""
    wanted = settings.problem_type
    filled = [value for value in values if not (isinstance(value, str) or value is None) or not is_empty(value)]
    filled = [value for value in filled if isinstance(value, list | tuple | np.ndarray) or not is_empty(value)]
    if not filled:
        raise UserError(f"The label column {column!r} is empty; name another with --data.label_column.")
    lists = all(isinstance(value, list | tuple | np.ndarray) or list_in(value) is not None for value in filled)
    if lists and wanted != "single_label_classification":
        return lists_of_labels(column, [labels_in_cell(value, None) for value in filled], wanted, typed)
    kinds = {type(value).__name__ for value in filled if not isinstance(value, str | int | float | np.generic)}
    if kinds:
        raise UserError(
            f"The label column {column!r} holds {first_few(sorted(kinds))}; one text, number or list a row is needed. "
            "Name another with --data.label_column."
        )
    found = [number_of(value) for value in filled] if typed is None else []
    numbers = [number for number in found if number is not None]
    fractions = len(numbers) == len(filled) and any(number % 1 for number in numbers)
    if wanted == "regression" or (wanted is None and fractions and settings.label_separator is None):
        if len(numbers) < len(filled):
            bad = [value for value in filled if number_of(value) is None]
            raise UserError(f"The label column {column!r} holds {first_few(map(repr, bad), 3)}, which are no numbers.")
        return Labels((column,), [column], "regression")
    texts = [value for value in filled if isinstance(value, str)]
    separator = settings.label_separator
    if separator is None and wanted != "single_label_classification" and texts and typed is None:
        separator = separator_of(texts, column)
    if wanted == "multi_label_classification" or separator is not None:
        keys = {class_key(part) for value in filled for part in labels_in_cell(value, separator)}
        note = f", separated by {separator!r}" if separator else ""
        told = settings.label_separator
        names, known = classes_of(keys, typed)
        return Labels((column,), names, "multi_label_classification", known, separator or told, note=note)
    names, known = classes_of({class_key(value) for value in filled}, typed)
    whole = typed is None and len(numbers) == len(filled)
    note = " (whole numbers are classes; --data.problem_type regression predicts them)" if whole else ""
    return Labels((column,), names, "single_label_classification", known, note=note)


def lists_of_labels(
    column: str, values: list[list[Any]], wanted: ProblemType | None, typed: Sequence[str] | None
) -> Labels:
    """Labels in a list; or numbers, one for each place in it."""
    every = [part for value in values for part in value]
    lengths = {len(value) for value in values}
    floats = bool(every) and all(isinstance(part, float | np.floating) for part in every)
    switches = len(lengths) == 1 and {*map(number_of, every)} <= {0.0, 1.0} and any(len({*v}) < len(v) for v in values)
    if typed is None and (wanted == "regression" or floats or switches):
        if len(lengths) > 1:
            raise UserError(
                f"The label column {column!r} has lists of {first_few(sorted(lengths))} numbers; give each as many."
            )
        names = [f"{column}_{place}" for place in range(max(lengths))]
        shares = wanted != "regression" and {float(part) for part in every} <= {0.0, 1.0}
        return Labels((column,), names, "multi_label_classification" if shares else "regression", vectors=True)
    names, known = classes_of({class_key(part) for part in every}, typed)
    return Labels((column,), names, "multi_label_classification", known)


def several_columns(columns: Mapping[str, Sequence[Any]], settings: DataSettings) -> Labels:
    """A column for each label, of 0 and 1; or for each number to predict."""
    wanted, names = settings.problem_type, list(columns)
    found = {name: [number_of(value) for value in values if not is_empty(value)] for name, values in columns.items()}
    for name, numbers in found.items():
        if None in numbers:
            bad = [value for value in columns[name] if not is_empty(value) and number_of(value) is None]
            raise UserError(f"The label column {name!r} holds {first_few(map(repr, bad), 3)}, which are no numbers.")
    if wanted == "regression" or not all({*numbers} <= {0.0, 1.0} for numbers in found.values()):
        if wanted not in (None, "regression"):
            raise UserError(f"The columns {first_few(names)} hold other numbers than 0 and 1; they are regression.")
        return Labels(tuple(names), names, "regression")
    one_each = all(sum(row) == 1 for row in zip(*found.values(), strict=False) if None not in row)
    if wanted == "single_label_classification":
        if not one_each:
            raise UserError(
                f"Rows with several 1, or none, in {first_few(names)} have not one class each; leave out problem_type."
            )
        return Labels(tuple(names), names, wanted, note=", of which each row has one")
    note = (
        " (each row has one; --data.problem_type single_label_classification makes classes of them)" if one_each else ""
    )
    return Labels(tuple(names), names, "multi_label_classification", note=note)


def is_counter(values: Sequence[Any]) -> bool:
    """Whether a column does nothing but number the rows."""
    numbers = [number_of(value) for value in values]
    first = numbers[0] if numbers else None
    return first in (0.0, 1.0) and len(numbers) > 1 and numbers == [first + place for place in range(len(numbers))]


def is_prose(values: Sequence[Any]) -> bool:
    """Whether no two of many rows say the same, as captions do."""
    return (
        len(values) > 3
        and all(isinstance(value, str) and number_of(value) is None for value in values)
        and (len({*values}) == len(values))
    )


def mean_the_same(one: Sequence[Any], other: Sequence[Any]) -> bool:
    """Whether two columns name the same classes otherwise, as numbers and names do."""
    pairs = {*zip(map(str, one), map(str, other), strict=True)}
    return len(pairs) == len({first for first, _ in pairs}) == len({second for _, second in pairs})


def find_labels(
    columns: Mapping[str, Sequence[Any]], settings: DataSettings, typed: Mapping[str, Sequence[str]] | None = None
) -> Labels:
    """columns: those that may hold labels. typed: the names of the classes of columns that know them.

    Raises: UserError where it is for the user to say which column it is, or what it means.
    """
    named = columns_of_labels(columns, settings, typed or {})
    return labels_in({name: columns[name] for name in named}, settings, typed or {})


def labels_in(
    columns: Mapping[str, Sequence[Any]], settings: DataSettings, typed: Mapping[str, Sequence[str]]
) -> Labels:
    """What the values of these columns mean."""
    if len(columns) > 1:
        return several_columns(columns, settings)
    ((name, values),) = columns.items()
    return one_column(name, values, settings, typed.get(name))


def columns_of_labels(
    columns: Mapping[str, Sequence[Any]], settings: DataSettings, typed: Mapping[str, Sequence[str]]
) -> list[str]:
    """As the recipe says; or by type, by name, as the only one, or as many as hold nothing but numbers."""
    if told := settings.label_columns or ([settings.label_column] if settings.label_column else None):
        field_name = "label_columns" if settings.label_columns else "label_column"
        for name in told:
            if name not in columns:
                raise UserError(f"--data.{field_name}: {unknown_name('column', name, [*columns])}")
        return told
    candidates = [*typed] or [name for name in columns if name.lower() in LABEL_WORDS]
    if len(candidates) > 1:
        first, *others = candidates
        if typed or not all(mean_the_same(columns[first], columns[other]) for other in others):
            return ask_for_label_column(candidates, columns)
        texts = [name for name in candidates if number_of(columns[name][0]) is None]
        return [(texts or candidates)[0]]
    left = [name for name, values in columns.items() if name.lower() not in NO_LABELS and not is_counter(values)]
    if not candidates and len(left) > 1:
        found = {number_of(value) for name in left for value in columns[name]}
        if None not in found and (found <= {0.0, 1.0} or settings.problem_type != "single_label_classification"):
            return left
        return ask_for_label_column(left, columns)
    if not candidates and left and is_prose(columns[left[0]]):
        raise UserError(
            f"Each row has its own text in the column {left[0]!r}, so that it names no classes. If it is the label "
            "all the same, say so by --data.label_column."
        )
    return candidates or left or ask_for_label_column([], columns)


def ask_for_label_column(candidates: Sequence[str], columns: Mapping[str, Any]) -> list[str]:
    found = f"several could be: {', '.join(candidates)}" if candidates else f"none of {', '.join(columns)} is one"
    raise UserError(f"Which column holds the label? {found}. Name it with --data.label_column.")
