"""Which recipes and named sizes come with the package."""

from argparse import Namespace
from collections.abc import Sequence

from .cli import explained, given_arguments, parser

EXAMPLES = """\
  {program}
  {program} digits > mine.yaml
  {program} --sizes

A recipe is trained by its name, as in vit-hf train digits; vit-hf fields says what can stand in one.
"""


def run(given: Namespace) -> int:
    from ..training.recipe.shipped import find_recipe, header_of, own_recipes

    if given.name is not None:
        print(find_recipe(given.name).read_text(encoding="utf-8"), end="")
        return 0
    if given.sizes:
        print("\n\n".join(sizes_words()))
        return 0
    for name, path in own_recipes().items():
        header = header_of(path)
        print(f"{name}\n  {header.what}\n  hardware: {header.hardware}\n  result: {header.result}\n")
    print("vit-hf recipes NAME prints one, and vit-hf train NAME runs it.")
    return 0


def sizes_words() -> list[str]:
    """Of each family that comes with the package, its sizes with what each is short for."""
    from ..training.recipe.yaml_files import configuration_folder, model_sizes

    families = sorted(path.stem for path in (configuration_folder() / "models").glob("*.yaml"))
    return [
        "\n".join(
            [f"--model.family {family} --model.size"]
            + [
                f"  {size:<6} {', '.join(f'{field} {value}' for field, value in numbers.items())}"
                for size, numbers in model_sizes(family).items()
            ]
        )
        for family in families
    ]


def main(words: Sequence[str] | None = None) -> int:
    parse = parser("recipes", "List the recipes that come with the package, or print one.", EXAMPLES)
    parse.add_argument("name", nargs="?", metavar="NAME", help="of a recipe, whose file is printed")
    parse.add_argument("--sizes", action="store_true", help="list the named sizes of each family of models instead")
    return explained(run, parse.parse_args(given_arguments(words)))
