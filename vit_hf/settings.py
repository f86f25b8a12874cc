"""Strict settings: every misspelt name is answered with the nearest right one."""

from pydantic import BaseModel, ConfigDict, model_validator

from .errors import UserError, unknown_name


class Section(BaseModel):
    """A part of a recipe: typed, unchangeable, and without a place for misspelt fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def refuse_unknown_fields(cls, values):
        if isinstance(values, dict):
            for name in values:
                if name not in cls.model_fields:
                    raise UserError(unknown_name("field", name, cls.model_fields))
        return values
