"""How many tokens each layer merges, as a recipe, a command or a caller says it."""

from collections.abc import Sequence
from typing import Any

from pydantic import Field, field_validator, model_validator

from ..errors import UserError
from ..settings import Section, explain_wrong_fields

HOW_TO_SAY = "say a number for all layers, such as 13, or one for each, such as 16,16,8"


class TokenMergingSettings(Section):
    """Tokens that are alike become one in each layer of a Vision Transformer. Source: ToMe (arXiv:2210.09461)."""

    r: int | list[int] = Field(description="tokens fewer in each layer, or a list with a number for each; 0 for none")
    inflection: float = Field(
        default=0.0,
        ge=-1,
        le=1,
        description="of one r: from twice as many in the first layer to none in the last (-1), or the other way (1)",
    )

    @field_validator("r", mode="before")
    @classmethod
    def refuse_no_numbers(cls, r: Any) -> Any:
        numbers = r if isinstance(r, list) else [r]
        if not all(isinstance(number, int) and not isinstance(number, bool) for number in numbers):
            raise UserError(f"{r!r} is no number of tokens to merge; {HOW_TO_SAY}.")
        if wrong := [number for number in numbers if number < 0]:
            raise UserError(f"{wrong[0]} tokens cannot be merged; {HOW_TO_SAY}; 0 merges none.")
        return r

    @model_validator(mode="after")
    def refuse_bent_lists(self):
        if self.inflection and isinstance(self.r, list):
            raise UserError("inflection bends one r over the layers, and a list says the r of each; leave one out.")
        return self

    def of_layers(self, layers: int) -> tuple[int, ...]:
        """-> the r of each layer; a shorter list merges nothing in the rest. Source: ToMe, released code.

        Raises: UserError for more numbers than there are layers.
        """
        if isinstance(self.r, list):
            if len(self.r) > layers:
                raise UserError(f"token_merging: {len(self.r)} numbers of tokens are given for {layers} layers.")
            return (*self.r, *[0] * (layers - len(self.r)))
        first, last = int(self.r * (1 - self.inflection)), 2 * self.r - int(self.r * (1 - self.inflection))
        return tuple(int(first + (last - first) * layer / max(layers - 1, 1)) for layer in range(layers))


def settings_of(r: int | str | Sequence[int] | TokenMergingSettings, inflection: float = 0.0) -> TokenMergingSettings:
    """From what a caller or a command line says. Raises: UserError for what is no number of tokens."""
    if isinstance(r, TokenMergingSettings):
        return r
    given: Any = list(r) if isinstance(r, Sequence) else r
    if isinstance(r, str):
        words = [word.strip() for word in r.split(",")]
        if not all(word.removeprefix("-").isdecimal() for word in words):
            raise UserError(f"token_merging: {r!r} is no number of tokens to merge; {HOW_TO_SAY}.")
        numbers = [int(word) for word in words]
        given = numbers if len(numbers) > 1 else numbers[0]
    with explain_wrong_fields("token_merging"):
        return TokenMergingSettings(r=given, inflection=inflection)
