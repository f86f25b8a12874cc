"""Somebody who has transformers and not this package, in a process of their own."""

import os
import subprocess
import sys
from pathlib import Path

# Forbids the package, then does what the test adds.
STRANGER = """
import sys
class Forbidden:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "vit_hf":
            raise ModuleNotFoundError("vit_hf is not installed here")
sys.meta_path.insert(0, Forbidden())
import torch, transformers
from safetensors.torch import load_file, save_file
folder = sys.argv[1]
"""


def run_as_stranger(program: str, folder: Path, **more: str) -> None:
    """more: of the environment."""
    environment = {**os.environ, "HF_MODULES_CACHE": str(folder / "modules"), "PYTHONPATH": "", **more}
    done = subprocess.run(
        [sys.executable, "-c", STRANGER + program, str(folder)],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
