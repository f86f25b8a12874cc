"""What is offered on TAB: `bash` itself runs the script, which starts no Python."""

import shutil
import subprocess
from pathlib import Path

import pytest

from vit_hf.commands.cli import COMMANDS, main

ASK = """
source {script}
COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
PATH= _vit_hf
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory):
    """Of each shell, made once."""
    folder, made = tmp_path_factory.mktemp("scripts"), {}

    def make(shell: str, capsys) -> Path:
        if shell not in made:
            capsys.readouterr()
            assert main(["completion", shell]) == 0
            made[shell] = folder / f"vit-hf.{shell}"
            made[shell].write_text(capsys.readouterr().out, encoding="utf-8")
        return made[shell]

    return make


@pytest.fixture
def offered(script, capsys, tmp_path: Path):
    def ask(words: str) -> list[str]:
        (tmp_path / "photo.jpg").touch()
        asked = ASK.format(script=script("bash", capsys), words=words)
        done = subprocess.run(["bash", "-c", asked], capture_output=True, text=True, check=True, cwd=tmp_path)
        assert done.stderr == ""
        return done.stdout.split()

    return ask


def test_the_first_word_is_a_command(offered):
    assert offered("vit-hf ''") == [*COMMANDS, "--help"]
    assert offered("vit-hf pre") == ["predict"]


@pytest.mark.parametrize(
    ("words", "there"),
    [
        ("vit-hf train dig", ["digits"]),
        ("vit-hf train photo.", ["photo.jpg"]),
        ("vit-hf train digits --dry", ["--dry-run"]),
        ("vit-hf train digits --tr", ["--training."]),
        ("vit-hf train digits --training.learning", ["--training.learning_rate"]),
        ("vit-hf train digits --model.window", ["--model.window_size"]),
        ("vit-hf train digits --optimization.ema.w", ["--optimization.ema.warm_up"]),
        ("vit-hf train digits --model.patch_embedding ''", ["linear", "conv"]),
        ("vit-hf train digits --dry-run photo.", ["photo.jpg"]),
        ("vit-hf evaluate model --split t", ["train", "test"]),
        ("vit-hf evaluate model --data.on_error ''", ["fail", "skip"]),
        ("vit-hf evaluate model --output pho", ["photo.jpg"]),
        ("vit-hf convert a b --to ''", ["vit_hf", "transformers", "timm"]),
        ("vit-hf benchmark rec", ["recipe"]),
        ("vit-hf benchmark recipe moving", ["moving_digits"]),
        ("vit-hf recipes moving", ["moving_digits"]),
        ("vit-hf fields data.mi", ["data.mix"]),
        ("vit-hf completion z", ["zsh"]),
    ],
)
def test_what_follows_is_what_the_command_takes(offered, words, there):
    assert offered(words) == there


def test_fields_that_a_command_does_not_take_are_not_offered(offered):
    assert offered("vit-hf evaluate model --training.") == []
    assert offered("vit-hf predict --data.") == []


CHECKS = {"bash": ["bash", "-n"], "zsh": ["zsh", "-n"], "fish": ["fish", "--no-execute"]}


@pytest.mark.parametrize("shell", CHECKS)
def test_a_shell_can_read_its_script(script, capsys, shell):
    path = script(shell, capsys)
    for word in ("digits", "training.learning_rate", "dry-run"):
        assert word in path.read_text(encoding="utf-8")
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    subprocess.run([*CHECKS[shell], str(path)], check=True)
