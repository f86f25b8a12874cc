"""A command starts at once where it has nothing to compute, and registers every family before it computes."""

import subprocess
import sys
from pathlib import Path

import pytest

from vit_hf.commands.benchmark import SUBCOMMANDS
from vit_hf.commands.cli import COMMANDS

ROOT = Path(__file__).parents[2]
HEAVY = {"torch", "torchao", "transformers", "datasets", "sklearn", "matplotlib", "scipy"}
# As pip writes it.
INSTALLED = """\
import sys
from vit_hf.commands.cli import main
if __name__ == "__main__":
    sys.exit(main())
"""


def run(*words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *words]
    return subprocess.run(command, capture_output=True, text=True, check=check, env={"PYTHONPATH": str(ROOT)})


@pytest.fixture
def installed(tmp_path: Path):
    """A program of the name `vit-hf`, with what it does."""

    def write(program: str = INSTALLED) -> str:
        path = tmp_path / "vit-hf"
        path.write_text(program, encoding="utf-8")
        return str(path)

    return write


def imported(stderr: str) -> set[str]:
    lines = [line for line in stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}


@pytest.mark.parametrize(
    "words", [[], ["recipes"], ["recipes", "digits"], ["recipes", "--sizes"], *([name, "--help"] for name in COMMANDS)]
)
def test_help_and_lists_of_recipes_import_nothing_heavy_and_say_nothing_else(installed, words):
    done = run("-X", "importtime", installed(), *words)
    assert not imported(done.stderr) & HEAVY
    assert [line for line in done.stderr.splitlines() if not line.startswith("import time:")] == []
    assert done.stdout.startswith(("usage: vit-hf", "cifar10\n", "# A small ViT", "--model.family"))


def test_an_error_is_one_sentence_whatever_other_libraries_have_to_say(installed):
    done = run(installed(), "train", "digitz", check=False)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: There is no recipe 'digitz'; did you mean 'digits'?")


@pytest.mark.parametrize("measured", SUBCOMMANDS)
def test_each_benchmark_starts_by_itself(installed, measured):
    done = run(installed(), "benchmark", measured, "--help")
    assert done.stdout.startswith(f"usage: vit-hf benchmark {measured}")


@pytest.mark.parametrize("door", sorted(path.name for path in (ROOT / "scripts").glob("*.py")))
def test_the_doors_of_a_clone_start_as_fast(door):
    done = run("-X", "importtime", str(ROOT / "scripts" / door), "--help")
    assert not imported(done.stderr) & HEAVY


KNOWN = """
from transformers import AutoConfig, AutoModel
config = AutoConfig.for_model("swin_hf", image_size=32)
print(type(AutoModel.from_config(config)).__name__)
"""


@pytest.mark.parametrize(
    "first",
    [
        "from vit_hf import VisionTransformerConfig",
        "from vit_hf import *\nVisionTransformerConfig",
        "import vit_hf; assert 'VisionTransformerConfig' in vit_hf.__all__",
        "from vit_hf.commands.cli import guarded; guarded(lambda: 0)",
    ],
)
def test_in_a_command_the_public_names_and_whatever_it_runs_bring_every_family(installed, first):
    assert run(installed(first + KNOWN)).stdout.split() == ["SwinTransformerModel"]


def test_in_a_command_too_an_unknown_name_is_no_attribute(installed):
    done = run(installed("import vit_hf\nvit_hf.VisionTransfomerModel"), check=False)
    assert "AttributeError: module 'vit_hf' has no attribute 'VisionTransfomerModel'" in done.stderr


def test_a_child_of_a_command_is_no_command(installed):
    """Python gives it the same sys.argv, and what it unpickles may ask the Auto classes."""
    program = """
import multiprocessing
def child():
    import sys, vit_hf
    print("vit_hf.public" in sys.modules, sys.argv[0].endswith("vit-hf"))
if __name__ == "__main__":
    process = multiprocessing.get_context("spawn").Process(target=child)
    process.start()
    process.join()
"""
    assert run(installed(program)).stdout.split() == ["True", "True"]


def test_a_program_of_ones_own_registers_on_import_wherever_it_lies(tmp_path):
    (tmp_path / "vit-hf.py").write_text(f"import vit_hf{KNOWN}", encoding="utf-8")
    assert run(str(tmp_path / "vit-hf.py")).stdout.split() == ["SwinTransformerModel"]
