"""Every field that a recipe can hold, read off the settings themselves: its path, type, default and meaning."""

import inspect
import re
from collections.abc import Iterator
from dataclasses import MISSING
from dataclasses import Field as DataclassField
from dataclasses import fields as dataclass_fields
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

import torch
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from ...data.augment.augmentations import AUGMENTATIONS, Affine
from ...errors import SYNONYMS, UserError, nearest_name, unknown_name
from ...families import FAMILIES
from .arguments import TrainingArguments
from .recipe import ModelSettings, Recipe

TYPE_WORDS = {int: "whole number", float: "number", bool: "true or false", str: "text", dict: "fields", Any: "anything"}
LIMIT_WORDS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}


class DescribedField(NamedTuple):
    """choices: the words that it takes, where it takes no others."""

    path: str
    type: str
    default: str
    meaning: str
    choices: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.path.rpartition(".")[2]


def every_field() -> list[DescribedField]:
    """Of all sections and families; a field that several families have stands once."""
    found: dict[str, DescribedField] = {}
    for section in Recipe.model_fields:
        families = FAMILIES if section == "model" else ["vit"]
        for family in families:
            for field in fields_of(section, family):
                found.setdefault(field.path, field)
    return list(found.values())


def fields_of(section: str, family: str = "vit") -> list[DescribedField]:
    """Of a section, those of its own sections included. Raises: UserError for a section or family that is none."""
    if family not in FAMILIES:
        raise UserError(unknown_name("model family", family, FAMILIES))
    top = section.partition(".")[0]
    if top not in Recipe.model_fields:
        raise UserError(unknown_name("section", section, Recipe.model_fields))
    if top == "training":
        found = list(of_dataclass(TrainingArguments, "training"))
    elif top == "model":
        found = [*of_settings(ModelSettings, "model"), *of_dataclass(FAMILIES[family].config_class, "model")]
    else:
        kind = settings_in(Recipe.model_fields[top].annotation)
        found = list(of_settings(kind, top)) if kind else []
    return [field for field in found if field.path.startswith(f"{section}.") or section == top]


def find_fields(words: str) -> list[DescribedField]:
    """By the name, or what others call it, by a part of the path, or else the nearest.

    Raises: UserError where nothing is like it.
    """
    known = every_field()
    name = words.rpartition(".")[2]
    meant = SYNONYMS.get(name, "").split()
    for matches in (
        [field for field in known if words in (field.name, field.path)],
        [field for field in known if field.name in meant],
        [field for field in known if words in field.path],
    ):
        if matches:
            return matches
    if (nearest := nearest_name(name, [field.name for field in known])) is None:
        raise UserError(f"There is no field {words!r}; `vit-hf fields` lists all.")
    return [field for field in known if field.name == nearest]


def of_settings(kind: type[BaseModel], path: str) -> Iterator[DescribedField]:
    """Of a section, each followed by its own where it is a section itself."""
    for name, field in kind.model_fields.items():
        own = f"{path}.{field.alias or name}"
        inner = settings_in(field.annotation)
        default = "" if field.is_required() else default_words(field.get_default(call_default_factory=True))
        meaning = field.description or (first_sentence(inner.__doc__) if inner else "")
        yield DescribedField(
            own, type_words(field.annotation) + bounds(field), default, meaning, choices(field.annotation)
        )
        if inner is not None:
            yield from of_settings(inner, own)
        if own == "data.train":
            yield from of_augmentations(own)


def of_augmentations(path: str) -> Iterator[DescribedField]:
    for name, kind in AUGMENTATIONS.items():
        by = "true"
        if kind.strength:
            words = choices(kind.model_fields[kind.strength[0]].annotation)
            by = f"{' | '.join(words) or 'number'} ({' and '.join(kind.strength)}) or fields"
        meaning = f"{name.replace('_', ' ')} by at most so much" if kind is Affine else first_sentence(kind.__doc__)
        yield DescribedField(f"{path}.{name}", by, "not set", meaning)
        if kind is not Affine:
            yield from of_settings(kind, f"{path}.{name}")


def of_dataclass(kind: type, path: str) -> Iterator[DescribedField]:
    """Meanings are those of the fields' own help, or of the docstrings of the class and of those that it inherits."""
    # transformers' own names torch.dtype without importing torch.
    hints, meanings = get_type_hints(kind, localns={"torch": torch}), docstring_meanings(kind)
    for field in dataclass_fields(kind):
        if field.init:
            meaning = first_sentence(field.metadata.get("help") or meanings.get(field.name, ""))
            own = hints[field.name]
            yield DescribedField(f"{path}.{field.name}", type_words(own), default_of(field), meaning, choices(own))


def docstring_meanings(kind: type) -> dict[str, str]:
    """From lines such as "depths, num_heads: of each stage" of ours, and "name (`int`): ..." of transformers'."""
    found: dict[str, str] = {}
    for parent in kind.__mro__:
        lines = inspect.cleandoc(parent.__dict__.get("__doc__") or "").splitlines()
        names: list[str] = []
        for line in lines:
            begins = re.match(r"(?:- \*\*)?(\w+(?:, \w+)*)(?:\*\*)?(?: ?\(.*?\)(?: --|:)|:)\s*(.*)", line.strip())
            if begins and not line.startswith(" " * 8):
                names = [name for name in begins[1].split(", ") if name not in found]
                found |= dict.fromkeys(names, begins[2])
            elif line.startswith("  "):
                found |= {name: f"{found[name]} {line.strip()}".strip() for name in names}
            else:
                names = []
    return found


def settings_in(annotation: Any) -> type[BaseModel] | None:
    """The section that a field holds, perhaps or nothing."""
    kinds = get_args(annotation) or (annotation,)
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)


def choices(annotation: Any) -> tuple[str, ...]:
    """The words of a Literal, or of true and false; none where other values are taken too."""
    kinds = [kind for kind in union_of(annotation) if kind is not NoneType]
    if kinds == [bool]:
        return ("true", "false")
    if all(get_origin(kind) is Literal for kind in kinds):
        return tuple(str(word) for kind in kinds for word in get_args(kind))
    return ()


def union_of(annotation: Any) -> list[Any]:
    if get_origin(annotation) in (Union, UnionType):
        return [kind for part in get_args(annotation) for kind in union_of(part)]
    if hasattr(annotation, "__metadata__"):
        return union_of(annotation.__origin__)
    return [annotation]


def type_words(annotation: Any) -> str:
    words = []
    kinds = [kind for kind in union_of(annotation) if kind is not NoneType]
    for kind in kinds:
        inner = [part for part in get_args(kind) if part is not ...]
        if get_origin(kind) is Literal:
            words += [str(word) for word in inner]
        elif get_origin(kind) in (list, tuple):
            words.append(f"list of {' or '.join(dict.fromkeys(type_words(part) for part in inner))}s")
        elif get_origin(kind) is dict:
            words.append(TYPE_WORDS[dict])
        elif kind is int and float in kinds:
            continue
        elif isinstance(kind, type) and issubclass(kind, Enum):
            words += [str(member.value) for member in kind]
        elif isinstance(kind, type) and issubclass(kind, BaseModel):
            words.append("fields")
        else:
            words.append(TYPE_WORDS.get(kind) or getattr(kind, "__name__", str(kind)))
    return " | ".join(dict.fromkeys(words))


def bounds(field: FieldInfo) -> str:
    said = [
        f"{word} {getattr(bound, name):g}"
        for bound in field.metadata
        for name, word in LIMIT_WORDS.items()
        if hasattr(bound, name)
    ]
    return f" ({', '.join(said)})" if said else ""


def default_of(field: DataclassField) -> str:
    if field.default_factory is not MISSING:
        return default_words(field.default_factory())
    return "" if field.default is MISSING else default_words(field.default)


def default_words(value: Any) -> str:
    """As a recipe would say it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(default_words(part) for part in value)}]"
    return "not set" if value is None else str(value)


def first_sentence(text: str | None) -> str:
    words = " ".join((text or "").split())
    return re.split(r"\. (?=[A-Z])", words)[0].removesuffix(".")
