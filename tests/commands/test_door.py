from pathlib import Path

import pytest

from vit_hf.commands import main
from vit_hf.commands.door import guarded
from vit_hf.commands.tables import table

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.mark.parametrize("name", ["train", "evaluate", "predict"])
def test_help_shows_a_whole_example(name: str, capsys):
    with pytest.raises(SystemExit) as exit:
        main([name, "--help"])
    assert exit.value.code == 0
    assert f"examples:\n  vit-hf {name} " in capsys.readouterr().out


def test_without_a_command_all_are_listed(capsys):
    assert main([]) == 0
    said = capsys.readouterr().out
    assert [name for name in ("train", "evaluate", "predict", "benchmark") if name not in said] == []


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


@pytest.mark.parametrize("name", ["train", "evaluate", "predict"])
def test_scripts_let_threads_wait_quietly_unless_the_user_chose(name: str):
    lines = (SCRIPTS / f"{name}.py").read_text().splitlines()
    choice = next(i for i, line in enumerate(lines) if 'setdefault("OMP_WAIT_POLICY", "PASSIVE")' in line)
    first = next(i for i, line in enumerate(lines) if line.startswith("from vit_hf"))
    assert choice < first


def test_tables_line_up():
    assert table(["a", "bb"], [["long", "1"]]) == "  a     bb\n  ----  --\n  long   1"
