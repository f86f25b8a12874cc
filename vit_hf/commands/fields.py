"""What a recipe can hold: every field with its type, default and meaning."""

import logging
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from textwrap import wrap
from typing import TYPE_CHECKING

from .cli import explained, given_arguments, parser

if TYPE_CHECKING:
    from ..training.recipe.fields import DescribedField

EXAMPLES = """\
  {program}
  {program} data.train
  {program} model --family swin
  {program} learning_rate

Any field is set in a recipe, or on the command line by its path: vit-hf train digits --training.learning_rate 1e-3.
The sections are model, data, optimization, training (of transformers, which takes seconds to import) and card.
"""


def run(given: Namespace) -> int:
    with quiet():
        import_module("..public", __package__)  # registers the families
        from ..training.recipe.fields import every_field, fields_of, find_fields
        from ..training.recipe.recipe import Recipe

    words = given.words
    if words is None:
        print(printed_fields(every_field()))
    elif words.partition(".")[0] in Recipe.model_fields and (found := fields_of(words, given.family)):
        print(printed_fields(found))
        if words == "model":
            print(sizes_of_families())
    else:
        print(printed_fields(find_fields(words)))
    return 0


@contextmanager
def quiet() -> Iterator[None]:
    """What other libraries have to say of themselves while they are imported stands before no list."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def printed_fields(fields: "Sequence[DescribedField]") -> str:
    return "\n".join(line for field in fields for line in lines_of_field(field))


def lines_of_field(field: "DescribedField") -> list[str]:
    default = f" = {field.default}" if field.default else ""
    return [f"{field.path}: {field.type}{default}", *(f"    {line}" for line in wrap(field.meaning, 110))]


def sizes_of_families() -> str:
    from ..errors import UserError
    from ..families import FAMILIES

    lines = ["\nfamilies (--family lists the fields of another) and their sizes; vit-hf recipes --sizes says more"]
    for name, family in FAMILIES.items():
        try:
            sizes = ", ".join(family.sizes())
        except UserError:
            sizes = "no named sizes"
        lines.append(f"  {name}: {sizes}")
    return "\n".join(lines)


def main(words: Sequence[str] | None = None) -> int:
    parse = parser("fields", "List the fields of a recipe, with type, default and meaning.", EXAMPLES)
    parse.add_argument(
        "words", nargs="?", metavar="SECTION_OR_FIELD", help="a section, or a field or a part of its name"
    )
    parse.add_argument("--family", default="vit", help="whose fields the section model has (vit where not said)")
    return explained(run, parse.parse_args(given_arguments(words)))
