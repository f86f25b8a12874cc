import os
import subprocess
import sys
from pathlib import Path

import pytest

from vit_hf.commands import convert
from vit_hf.commands.cli import guarded, main
from vit_hf.conversion.convert import TARGETS
from vit_hf.errors import UserError
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
        raise UserError("seven is no size")

    assert guarded(refuse) == 2
    assert capsys.readouterr().err == "error: seven is no size\n"
    with pytest.raises(ValueError, match="invalid literal") as fault:
        guarded(lambda: int("seven"))
    assert "a fault of vit_hf" in fault.value.__notes__[0]
    monkeypatch.setenv("VIT_HF_TRACEBACK", "1")
    with pytest.raises(UserError, match="seven"):
        guarded(refuse)


HELP = """
import sys
import vit_hf
before = set(sys.modules)
from vit_hf.commands.cli import main
try:
    main([{name!r}, "--help"])
except SystemExit:
    pass
print(*sorted({{module for module in sys.modules if module not in before}}), file=sys.stderr)
"""


@pytest.mark.parametrize("name", ["train", "evaluate", "predict", "convert", "publish", "benchmark"])
def test_help_imports_nothing_of_ours_but_the_command_line(name: str):
    words = [sys.executable, "-c", HELP.format(name=name)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    imported = done.stderr.splitlines()[-1].split()
    ours = {module for module in imported if module.startswith("vit_hf")}
    assert ours == {"vit_hf.commands", "vit_hf.commands.cli", f"vit_hf.commands.{name}"}
    heavy = {module.split(".")[0] for module in imported} - sys.stdlib_module_names - {"vit_hf"}
    assert not heavy


def test_the_libraries_that_convert_writes_for_are_those_of_the_conversion():
    assert convert.TARGETS == TARGETS


ROOT = Path(__file__).parents[2]
# Says which policy torch finds when it is imported.
POLICY = """
import os, sys
class Watching:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            print(os.environ.get("OMP_WAIT_POLICY"))
            sys.meta_path.remove(self)
sys.meta_path.insert(0, Watching())
sys.argv = [{called!r}, "--help"]
import vit_hf
"""


@pytest.mark.parametrize(
    ("called", "chosen", "found"),
    [
        ("/usr/bin/vit-hf", {}, "PASSIVE"),
        (str(ROOT / "scripts" / "train.py"), {}, "PASSIVE"),
        ("/usr/bin/vit-hf", {"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE"),
        ("/home/me/scripts/program.py", {}, "None"),
    ],
)
def test_commands_let_threads_wait_quietly_before_torch_comes_unless_the_user_chose(called, chosen, found):
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    words = [sys.executable, "-c", POLICY.format(called=called)]
    done = subprocess.run(words, capture_output=True, text=True, check=True, env={**environment, **chosen})
    assert done.stdout.split() == [found]


def test_tables_line_up():
    assert table(["a", "bb"], [["long", "1"]]) == "  a     bb\n  ----  --\n  long   1"
