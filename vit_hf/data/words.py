"""Strict settings: every misspelt name is answered with the nearest right one."""

from collections.abc import Collection
from difflib import get_close_matches

from pydantic import BaseModel, ConfigDict, model_validator


def unknown_name(kind: str, name: str, known: Collection[str]) -> str:
    """The sentence for a name that does not exist: the nearest right one, or all of them when they are few."""
    if nearest := get_close_matches(str(name), known, n=1, cutoff=0.5):
        return f"There is no {kind} {name!r}; did you mean {nearest[0]!r}?"
    if len(known) > 40:
        return f"There is no {kind} {name!r}, nor one of a similar name."
    return f"There is no {kind} {name!r}; there are {', '.join(sorted(known))}."


class Section(BaseModel):
    """A part of a recipe: typed, unchangeable, and without a place for misspelt fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def refuse_unknown_fields(cls, values):
        if isinstance(values, dict):
            for name in values:
                if name not in cls.model_fields:
                    raise ValueError(unknown_name("field", name, cls.model_fields))
        return values
