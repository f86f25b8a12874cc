import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from vit_hf.commands.benchmark import main, training
from vit_hf.commands.benchmark.loops import BARE, take_turns
from vit_hf.commands.benchmark.peers import OURS
from vit_hf.commands.benchmark.training import as_rows, beside_another


def test_everyone_takes_a_turn_in_every_round_and_the_first_does_not_count():
    order: list[str] = []
    turns = {name: lambda name=name: (order.append(name), float(len(order)))[1] for name in "abc"}
    seconds = take_turns(turns, rounds=2)
    assert "".join(order) == "abc" + "abc" + "bca"
    assert seconds == {"a": [4, 9], "b": [5, 7], "c": [6, 8]}


def test_overhead_is_the_time_more_than_the_bare_loops():
    rows = {row["loop"]: row for row in as_rows({BARE: [2.0, 4.0], OURS: [2.1, 4.2], "theirs": [3.0, 6.0]}, images=60)}
    assert rows[BARE]["overhead"] == 0
    assert rows[OURS]["overhead"] == pytest.approx(0.05)
    assert rows["theirs"]["overhead"] == pytest.approx(0.5)
    assert rows["theirs"]["ours_against_it"].median == pytest.approx(3 / 2.1)
    assert rows[OURS]["ours_against_it"] is None
    assert rows[BARE]["images_per_second"] == 20


def test_only_the_way_of_waiting_differs_beside_another_process(monkeypatch: pytest.MonkeyPatch):
    environments: list[dict[str, str]] = []

    def run(words: list[str], env: dict[str, str], **kwargs: Any) -> subprocess.CompletedProcess:
        environments.append(env)
        assert Path(words[1]).is_file()
        return subprocess.CompletedProcess(words, 0, stdout="12.5\n")

    monkeypatch.setattr(training.subprocess, "run", run)
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert beside_another(None, 0.1) == beside_another("PASSIVE", 0.1) == 12.5
    stock, passive = environments
    assert "OMP_WAIT_POLICY" not in stock
    assert passive == {**stock, "OMP_WAIT_POLICY": "PASSIVE"}
    assert os.environ.keys() - stock.keys() == {"OMP_WAIT_POLICY", "OMP_NUM_THREADS"}


def test_the_whole_comparison_runs_and_writes_what_it_measured(tmp_path: Path, capsys):
    out = tmp_path / "made" / "training.json"
    assert (
        main(["training", *["--sizes", "tiny", "--batch", "4", "--steps", "2", "--rounds", "1", "--json"], str(out)])
        == 0
    )
    assert "tiny, batch 4, 1 rounds of 2 steps" in capsys.readouterr().out
    rows = {row["loop"]: row for row in json.loads(out.read_text())["tiny"]}
    assert {BARE, OURS, "transformers"} <= set(rows)
    assert all(row["images_per_second"] > 0 for row in rows.values())
