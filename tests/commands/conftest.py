"""One trained folder for all tests of the commands: the digits recipe, cut to a few steps."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vit_hf.training.recipe.yaml_files import configuration_folder

ROOT = Path(__file__).parents[2]
SHORT = ["--training.max_steps", "3", "--training.eval_steps", "2", "--model.num_hidden_layers", "1"]
# The recipe's final fit has no images left to validate on.
SHORT += ["--data.validation_fraction", "0.15", "--training.eval_strategy", "steps"]


def digits_recipe() -> str:
    return str(configuration_folder() / "recipes" / "digits.yaml")


@pytest.fixture(scope="session")
def training(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess:
    """`scripts/train.py` run as a user runs it; its folder is the last of its arguments."""
    folder = tmp_path_factory.mktemp("training") / "my_digits"
    words = [sys.executable, str(ROOT / "scripts" / "train.py"), digits_recipe(), *SHORT]
    words += ["--training.output_dir", str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(words, capture_output=True, text=True, check=False, cwd=ROOT, env=environment)


@pytest.fixture(scope="session")
def trained(training: subprocess.CompletedProcess) -> Path:
    """The output folder of that training."""
    assert training.returncode == 0, training.stderr
    return Path(training.args[-1])
