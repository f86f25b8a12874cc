"""YAML as people write it: PyYAML alone reads 1e-3 as a text, and the word no as false."""

import math
import re
from collections.abc import Sequence
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from ...errors import SYNONYMS, UserError
from ...files import MOST_LEVELS

MOST_VALUES = 100_000  # more than any recipe has, those that aliases repeat included


class Loader(yaml.SafeLoader):
    """Safe, with the floats and truths of YAML 1.2, each key once, and neither endless depth nor endless repetition."""

    levels = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        self.levels += 1
        if self.levels > MOST_LEVELS:
            raise yaml.MarkedYAMLError(
                problem=f"nested more than {MOST_LEVELS} levels deep", problem_mark=self.get_mark()
            )
        node = super().compose_node(parent, index)
        self.levels -= 1
        return node

    def get_single_node(self) -> Any:
        node = super().get_single_node()
        if node is not None and values_in(node, {}) > MOST_VALUES:
            raise yaml.MarkedYAMLError(problem=f"its aliases repeat more than {MOST_VALUES:,} values")
        return node

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        lines: dict[str, int] = {}
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else []:
            if not isinstance(key, yaml.ScalarNode) or key.value == "<<":
                continue
            if key.value in lines:
                again = f"{key.value!r} stands there a second time, after line {lines[key.value]}; leave one out"
                raise yaml.MarkedYAMLError(problem=again, problem_mark=key.start_mark)
            lines[key.value] = key.start_mark.line + 1
        return super().construct_mapping(node, deep)

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def values_in(node: Any, known: dict[int, float]) -> float:
    """With an alias counted as often as it is used; one within itself as infinitely many."""
    if id(node) not in known:
        known[id(node)] = math.inf  # until it is known
        parts = node.value if isinstance(node, yaml.CollectionNode) else []
        pairs = [one for part in parts for one in (part if isinstance(part, tuple) else (part,))]
        known[id(node)] = 1 + sum(values_in(one, known) for one in pairs)
    return known[id(node)]


Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d[\d_]*(\.[\d_]*)?|\.\d[\d_]*)[eE][-+]?\d+$"),
    list("-+0123456789."),
)
Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(true|True|false|False)$"), list("tTfF"))


def parse_yaml(text: str, where: str) -> Any:
    """What the text says; `where` it stands is named in the error."""
    try:
        return yaml.load(text, Loader)
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # the latter of dates and numbers that are none
        raise UserError(f"{where} is not valid YAML: {error}") from error


def read_yaml(path: Path) -> Any:
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}.")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is no text in UTF-8 ({error}); save it as such.") from error
    return parse_yaml(text, str(path))


class Dumper(yaml.SafeDumper):
    """A line for each field, and a list on one line."""

    def represent_sequence(self, tag, sequence, flow_style=None):
        return super().represent_sequence(tag, sequence, flow_style=True)


def write_yaml(path: Path, content: Any) -> None:
    """In the order that the fields came."""
    text = yaml.dump(content, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=100)
    path.write_text(text, encoding="utf-8")


def parse_overrides(words: Sequence[str]) -> dict[str, Any]:
    """["--training.max_steps", "40"] -> {"training.max_steps": 40}; values are YAML."""
    overrides: dict[str, Any] = {}
    rest = list(words)
    while rest:
        flag, equals, value = rest.pop(0).partition("=")
        if not flag.startswith("--") or "." not in flag:
            raise UserError(f"{flag!r} is not understood here; {how_to_give(flag.removeprefix('--'))}")
        if not equals:
            if not rest:
                raise UserError(f"{flag} needs a value after it.")
            value = rest.pop(0)
        overrides[flag.removeprefix("--")] = parse_yaml(value, f"The value of {flag}")
    return overrides


def how_to_give(name: str) -> str:
    """For a field whose section was left out, or any other word."""
    from .fields import every_field

    meant = [name, *SYNONYMS.get(name, "").split()]
    paths = {field.path for field in every_field() if field.name in meant}
    known = " or ".join(f"--{path}" for path in sorted(paths))
    example = f"here {known}" if known else "such as --training.max_steps 40"
    return f"a field of the recipe is given as --section.field value, {example}."


def apply_overrides(recipe: dict[str, Any], overrides: dict[str, Any]) -> dict[str, Any]:
    """The recipe with each dotted path set, and sections made where they were missing."""
    recipe = deepcopy(recipe)
    for path, value in overrides.items():
        *sections, field = path.split(".")
        place = recipe
        if not all([*sections, field]):
            raise UserError(f"--{path} names no field; write --section.field.")
        for section in sections:
            if place.get(section) is None:  # also where only its name stands there
                place[section] = {}
            place = place[section]
            if not isinstance(place, dict):
                raise UserError(f"--{path}: {section!r} is {place!r}, which has no fields.")
        place[field] = value
    return recipe


def configuration_folder() -> Path:
    """`configuration/`: inside an installed package, or beside the package in a clone."""
    package = Path(__file__).parents[2]
    installed = package / "configuration"
    return installed if installed.is_dir() else package.parent / "configuration"


@cache
def model_sizes(family: str) -> dict[str, dict[str, Any]]:
    """The config fields behind each named size of a family ("vit"); sizes in pixels and in numbers of units.

    Raises: UserError where the family has no file of sizes.
    """
    folder = configuration_folder() / "models"
    path = folder / f"{family}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in folder.glob("*.yaml")))
        raise UserError(f"There are no named sizes of {family!r} in {folder}; there are those of {known}.")
    return read_yaml(path)
