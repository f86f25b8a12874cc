"""The named sizes of each family, and the folder of recipes and sizes that comes with the package."""

from functools import cache
from pathlib import Path
from typing import Any

from .yaml_files import read_yaml


def configuration_folder() -> Path:
    """`configuration/`: inside an installed package, or beside the package in a clone."""
    package = Path(__file__).parents[1]
    installed = package / "configuration"
    return installed if installed.is_dir() else package.parent / "configuration"


@cache
def model_sizes(family: str) -> dict[str, dict[str, Any]]:
    """The config fields behind each named size of a family ("vit"); sizes in pixels and in numbers of units.

    Raises: ValueError where the family has no file of sizes.
    """
    folder = configuration_folder() / "models"
    path = folder / f"{family}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in folder.glob("*.yaml")))
        raise ValueError(f"There are no named sizes of {family!r} in {folder}; there are those of {known}.")
    return read_yaml(path)
