"""Strict settings: every misspelt name is answered with the nearest right one, every wrong value with its place."""

from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from .errors import UserError, unknown_name


class Section(BaseModel):
    """A part of a recipe: typed, unchangeable, and without a place for misspelt fields."""

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="constants")

    @model_validator(mode="before")
    @classmethod
    def refuse_unknown_fields(cls, values):
        if isinstance(values, dict):
            for name in values:
                if name not in cls.model_fields:
                    raise UserError(unknown_name("field", name, cls.model_fields))
        return values


@contextmanager
def explain_wrong_fields(where: str) -> Iterator[None]:
    """Around the building of settings, which `where` names: a file, or an option.

    Raises: UserError in place of pydantic's error, with a line for each wrong field.
    """
    try:
        yield
    except ValidationError as error:
        raise UserError(f"{where}: {lines_of(error)}") from error


def lines_of(error: ValidationError) -> str:
    """One line for each wrong field: where it stands, why it is wrong, and what was given."""
    lines = []
    for problem in error.errors():
        place = ".".join(str(part) for part in problem["loc"])
        reason = problem["msg"].removeprefix("Value error, ")
        own = problem["type"] == "value_error" or problem["type"] == "missing"
        shown = repr(problem["input"])
        given = "" if own else f" (given: {shown if len(shown) <= 200 else f'{shown[:200]}...'})"
        lines.append(f"{place}: {reason}{given}" if place else f"{reason}{given}")
    return "\n".join(lines)
