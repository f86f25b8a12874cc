"""Packages that bring families, installed into a folder as pip does it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
TINY = Path(__file__).with_name("tiny_family")


def install(site: Path, package: str, entry: str) -> None:
    """What importlib.metadata finds of a package; entry: its line among the entry points."""
    noted = site / f"{package}-1.0.dist-info"
    noted.mkdir(parents=True)
    (noted / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (noted / "entry_points.txt").write_text(f"[vit_hf.families]\n{entry}\n")


def install_tiny(site: Path) -> Path:
    install(site, "tiny_family", "tiny = tiny_family.family:Tiny")
    shutil.copytree(TINY, site / "tiny_family", ignore=shutil.ignore_patterns("__pycache__"))
    return site


def environment_of(site: Path | None, others: dict[str, str] | None = None) -> dict[str, str]:
    """site: None for a machine with neither the package nor vit_hf in the path."""
    path = os.pathsep.join([str(ROOT), str(site)]) if site is not None else ""
    return {**(others or os.environ), "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}


def run(*words: str, environment: dict[str, str], cwd: Path | None = None) -> str:
    """What a process says; it has to succeed."""
    words = (sys.executable, *words)
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
