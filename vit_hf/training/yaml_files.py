"""YAML with the numbers that people write: PyYAML alone reads 1e-3 as a text."""

import re
from pathlib import Path
from typing import Any

import yaml


class Loader(yaml.SafeLoader):
    """Safe, and with YAML 1.2's floats."""


Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d[\d_]*(\.[\d_]*)?|\.\d[\d_]*)[eE][-+]?\d+$"),
    list("-+0123456789."),
)


def parse_yaml(text: str, where: str) -> Any:
    """What the text says; `where` it stands is named in the error."""
    try:
        return yaml.load(text, Loader)
    except yaml.YAMLError as error:
        raise ValueError(f"{where} is not valid YAML: {error}") from error


def read_yaml(path: Path) -> Any:
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}.")
    return parse_yaml(path.read_text(encoding="utf-8"), str(path))


def write_yaml(path: Path, content: Any) -> None:
    """Short lists and dictionaries stay on one line, in the order they came."""
    text = yaml.safe_dump(content, sort_keys=False, default_flow_style=None, allow_unicode=True, width=100)
    path.write_text(text, encoding="utf-8")
