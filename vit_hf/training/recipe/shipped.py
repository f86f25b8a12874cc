"""The recipes that come with the package, and what the comment at the top of one says: what it is, on which hardware,
with which result.
"""

import re
from pathlib import Path
from typing import NamedTuple

from ...errors import UserError, unknown_name
from .yaml_files import configuration_folder, read_yaml

# A sentence ends where the next begins with a capital: "arXiv:2105.01601" and "99.44 %" end none.
SENTENCE = re.compile(r"(?<=[.)])\s+(?=[A-Z\"`])")


class Header(NamedTuple):
    what: str
    hardware: str
    result: str


def header_of(path: Path) -> Header:
    """Of a recipe; what it does not say is empty."""
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.removeprefix("#"))
    words = " ".join(" ".join(line.split()) for line in lines if not line.startswith("   ")).strip()  # no commands
    sentences = SENTENCE.split(words)
    return Header(first_part(sentences[0]), labeled(sentences, "hardware"), labeled(sentences, "result"))


def labeled(sentences: list[str], label: str) -> str:
    """What follows "Cost and result of ours: ", for `label` = "result"."""
    for sentence in sentences:
        name, colon, value = sentence.partition(": ")
        if colon and label in name.split(",")[0].lower().split():
            return first_part(value)
    return ""


def first_part(text: str) -> str:
    """Up to what explains it."""
    return re.split(r"; |\. ", text)[0].removesuffix(".")


def own_recipes() -> dict[str, Path]:
    """By the names that they are called by."""
    return {path.stem: path for path in sorted((configuration_folder() / "recipes").glob("*.yaml"))}


def recipes_of(family: str, task: str) -> list[str]:
    """The names of those that train a new model of this family on this task."""
    models = {name: read_yaml(path).get("model", {}) for name, path in own_recipes().items()}
    wanted = (family, task)
    return [name for name, own in models.items() if (own.get("family"), own.get("task", "classification")) == wanted]


def find_recipe(name: str) -> Path:
    """A file, or the name of a recipe that comes with the package. Raises: UserError for what is neither."""
    if (path := Path(name)).is_file():
        return path
    if name not in (own := own_recipes()):
        raise UserError(f"{unknown_name('recipe or file', name, own)} `vit-hf recipes` lists the recipes.")
    return own[name]
