"""The lowest versions that are allowed are those that `make test-floors` installs, and a run below them says so."""

import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from vit_hf import requirements
from vit_hf.commands.cli import guarded

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
METADATA = ["einops>=0.8", "torch>=99", "absent-library>=1", 'pytest>=99; extra == "test"']


def locked(name: str) -> dict[str, str]:
    """-> version of each library"""
    lines = (ROOT / "configuration" / "requirements" / name).read_text(encoding="utf-8").splitlines()
    return {canonicalize_name(name): version for name, _, version in (line.partition("==") for line in lines)}


# What no test at the floors imports.
APART = {"pyright", "ruff", "nncf", "openvino", "gradio", "playwright"}
APART |= {"fastapi", "prometheus-client", "python-multipart", "uvicorn"}


def test_the_floors_that_are_installed_are_those_of_pyproject():
    installed = locked("floors.txt")
    named = [Requirement(text) for text in PROJECT["dependencies"] + EXTRAS["fast"] + EXTRAS["video"] + EXTRAS["test"]]
    for one in named:
        if one.name not in APART:
            assert [(part.operator, Version(part.version)) for part in one.specifier] == [
                (">=", Version(installed[canonicalize_name(one.name)]))
            ], one.name


def test_the_newest_versions_are_none_below_a_floor():
    newest = locked("base.txt") | locked("test.txt")
    for one in map(Requirement, PROJECT["dependencies"] + EXTRAS["test"]):
        assert one.specifier.contains(newest[canonicalize_name(one.name)]), one.name


@pytest.fixture
def wheel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """As if installed without a clone, by somebody whose torch is too old."""
    monkeypatch.setattr(requirements, "PYPROJECT", tmp_path / "pyproject.toml")
    monkeypatch.setattr(metadata, "requires", lambda name: METADATA)


@pytest.mark.usefixtures("wheel")
def test_a_library_below_its_floor_is_a_sentence_and_the_run_goes_on(capsys, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    assert guarded(lambda: 0) == 0
    version = metadata.version("torch")
    assert capsys.readouterr().err == (
        f"warning: torch {version} is installed, but vit_hf is tested with >=99, and results may be wrong; "
        "pip install -U 'torch>=99' brings a newer one.\n"
    )


@pytest.mark.usefixtures("wheel")
def test_of_many_processes_on_a_machine_one_says_so(capsys, monkeypatch: pytest.MonkeyPatch):
    for rank in ("0", "1", "2"):
        monkeypatch.setenv("LOCAL_RANK", rank)
        requirements.warn_of_floors()
    assert capsys.readouterr().err.count("torch") == 2  # its name and the command, once


def test_a_clone_is_asked_before_its_metadata_and_another_project_around_it_is_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    around = tmp_path / "pyproject.toml"
    monkeypatch.setattr(requirements, "PYPROJECT", around)
    monkeypatch.setattr(metadata, "requires", lambda name: METADATA)
    around.write_text('[project]\nname = "vit_hf"\ndependencies = ["einops>=98"]\n', encoding="utf-8")
    assert [str(one) for one in requirements.requirements()] == ["einops>=98"]
    around.write_text('[project]\nname = "other"\ndependencies = ["einops>=98"]\n', encoding="utf-8")
    assert [str(one) for one in requirements.requirements()] == METADATA[:3]


def test_asking_imports_no_library():
    program = "import sys, importlib.util as u; s = u.spec_from_file_location('requirements', sys.argv[1]); "
    program += "m = u.module_from_spec(s); s.loader.exec_module(m); m.check_floors(); "
    program += "print({'torch', 'transformers', 'numpy'} & set(sys.modules))"
    words = [sys.executable, "-c", program, str(requirements.__file__)]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip() == "set()"
