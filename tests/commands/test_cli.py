import os
import subprocess
import sys

import pytest

from vit_hf.commands import main
from vit_hf.commands.cli import guarded
from vit_hf.runs.report import table


@pytest.mark.parametrize("name", ["train", "evaluate", "predict", "convert"])
def test_help_shows_a_whole_example(name: str, capsys):
    with pytest.raises(SystemExit) as exit:
        main([name, "--help"])
    assert exit.value.code == 0
    assert f"examples:\n  vit-hf {name} " in capsys.readouterr().out


def test_without_a_command_all_are_listed(capsys):
    assert main([]) == 0
    said = capsys.readouterr().out
    assert [name for name in ("train", "evaluate", "predict", "convert", "benchmark") if name not in said] == []


def test_a_misspelt_command_is_answered_with_the_nearest(capsys):
    assert main(["evalute"]) == 2
    assert "did you mean 'evaluate'" in capsys.readouterr().err


def test_an_expected_error_is_a_sentence_and_a_mistake_of_ours_is_not(capsys, monkeypatch):
    def refuse():
        raise ValueError("seven is no size")

    assert guarded(refuse) == 2
    assert capsys.readouterr().err == "error: seven is no size\n"
    with pytest.raises(AttributeError):
        guarded(lambda: object().nothing)  # pyright: ignore[reportAttributeAccessIssue]
    monkeypatch.setenv("VIT_HF_TRACEBACK", "1")
    with pytest.raises(ValueError, match="seven"):
        guarded(refuse)


def test_commands_let_threads_wait_quietly_before_torch_comes_unless_the_user_chose():
    program = "import os, sys, vit_hf.commands; print(os.environ['OMP_WAIT_POLICY'], 'torch' in sys.modules)"
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    for chosen, found in [({}, "PASSIVE False"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE False")]:
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True, env={**environment, **chosen}
        )
        assert done.stdout.strip() == found


def test_tables_line_up():
    assert table(["a", "bb"], [["long", "1"]]) == "  a     bb\n  ----  --\n  long   1"
