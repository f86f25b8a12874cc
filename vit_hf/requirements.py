"""Libraries that are older than this package needs: pip refuses them, but whoever installs one later hears nothing.

Wrong results are what this is about, and not only errors: a Trainer that scales losses otherwise trains all the same.
"""

import os
import sys
import tomllib
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

PACKAGE = "vit_hf"
PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"


def requirements(extra: str | None = None) -> list[Requirement]:
    """What pyproject.toml says in a clone, whose metadata are as old as its installation; else the metadata.

    extra: one that is asked for too; others are left out. Where nothing says anything there are none.
    """
    if PYPROJECT.is_file():
        project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8")).get("project", {})
        if project.get("name") == PACKAGE:
            own = project.get("optional-dependencies", {}).get(extra, [])
            return [Requirement(text) for text in [*project["dependencies"], *own]]
    try:
        found = [Requirement(text) for text in metadata.requires(PACKAGE) or []]
    except metadata.PackageNotFoundError:
        return []
    return [one for one in found if one.marker is None or one.marker.evaluate({"extra": extra or ""})]


def check_floors() -> list[str]:
    """A sentence for each installed library that is older than what this package is tested with.

    Nothing is imported for it. A library that is missing gets none: its import says so.
    """
    sentences = []
    for required in requirements():
        try:
            installed = metadata.version(required.name)
        except metadata.PackageNotFoundError:
            continue
        if not required.specifier.contains(installed, prereleases=True):
            sentences.append(
                f"{required.name} {installed} is installed, but {PACKAGE} is tested with {required.specifier}, and "
                f"results may be wrong; pip install -U '{required.name}{required.specifier}' brings a newer one."
            )
    return sentences


def warn_of_floors() -> None:
    """On stderr, once a machine: of a distributed run, whose processes share an installation, the first one speaks."""
    if os.environ.get("LOCAL_RANK", "0") == "0":
        for sentence in check_floors():
            print(f"warning: {sentence}", file=sys.stderr)
