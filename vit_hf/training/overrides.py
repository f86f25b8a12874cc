"""Any field of a recipe from the command line: --training.max_steps 40 --data.name=photos/"""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

from .yaml_files import parse_yaml


def parse_overrides(words: Sequence[str]) -> dict[str, Any]:
    """["--training.max_steps", "40"] -> {"training.max_steps": 40}; values are YAML."""
    overrides: dict[str, Any] = {}
    rest = list(words)
    while rest:
        flag, equals, value = rest.pop(0).partition("=")
        if not flag.startswith("--") or "." not in flag:
            raise ValueError(
                f"{flag!r} is not understood here; a field of the recipe is given as --section.field value, "
                "for example --training.max_steps 40."
            )
        if not equals:
            if not rest:
                raise ValueError(f"{flag} needs a value after it.")
            value = rest.pop(0)
        overrides[flag.removeprefix("--")] = parse_yaml(value, f"The value of {flag}")
    return overrides


def apply_overrides(recipe: dict[str, Any], overrides: dict[str, Any]) -> dict[str, Any]:
    """The recipe with each dotted path set, and sections made where they were missing."""
    recipe = deepcopy(recipe)
    for path, value in overrides.items():
        *sections, field = path.split(".")
        place = recipe
        for section in sections:
            place = place.setdefault(section, {})
            if not isinstance(place, dict):
                raise ValueError(f"--{path}: {section!r} is {place!r}, which has no fields.")
        place[field] = value
    return recipe
