"""Hundreds of broken configs, files and recipes, and some kills, faults and writers at once: each is taken rightly, or
refused in a sentence that is true, in time and memory.

`python tests/fuzz/campaign.py --help` runs as many as are wanted, of any seeds.
"""

from collections.abc import Iterable
from pathlib import Path

import pytest
from fuzz.cases import CASES, make_sources, run_cases
from fuzz.judging import Verdict, judge
from fuzz.kills import run_kills
from fuzz.pushes import run_pushes
from fuzz.truth import blames_another, changes, leaves, names_one_of, snapshot, untrue_claims
from fuzz.writers import run_writers
from hub_server.server import HubServer

SMALL = {"configs": 40, "files": 50, "recipes": 60}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_sources(tmp_path_factory.mktemp("sources"))


def without_fault(verdicts: Iterable[Verdict]) -> list[Verdict]:
    found = [*verdicts]
    assert [str(verdict) for verdict in found if verdict.fault] == []
    return found


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", CASES)
def test_whatever_is_broken_is_a_sentence_or_taken_as_it_is(
    sources: Path, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    found = without_fault(run_cases(kind, range(SMALL[kind]), sources, tmp_path))
    assert any(verdict.said for verdict in found)
    assert any(not verdict.said for verdict in found)


@pytest.mark.filterwarnings("ignore")
def test_killed_runs_end_with_the_bits_of_one_that_nobody_killed(tmp_path: Path):
    seed = 1  # which kills in the middle of what the run writes, however fast the machine is
    assert any(verdict.said for verdict in without_fault(run_kills(range(seed, seed + 1), tmp_path)))


@pytest.mark.filterwarnings("ignore")
def test_of_several_runs_in_one_folder_one_writes(tmp_path: Path):
    assert any(verdict.said for verdict in without_fault(run_writers(range(1), tmp_path)))


@pytest.mark.filterwarnings("ignore")
def test_pushes_that_fail_or_meet_others_are_told_truly(hub: HubServer, saved: Path, tmp_path: Path):
    found = without_fault(run_pushes(range(10), hub, saved, tmp_path))
    assert {verdict.kind for verdict in found} == {"push", "pushers"}


def fail(error: BaseException) -> None:
    raise error


def test_the_judge_finds_what_is_wrong():
    assert judge("a", 0, lambda: fail(ValueError("size=5 has to be larger; take 7."))).fault is not None
    assert judge("a", 0, lambda: fail(OSError("size=5 has to be larger; take 7."))).fault is None
    assert "hardly anything" in str(judge("a", 0, lambda: fail(OSError("no"))))
    assert "KeyError" in str(judge("a", 0, lambda: fail(KeyError("x"))))
    assert judge("a", 0, lambda: "other weights").fault == "other weights"
    said = judge("a", 0, lambda: fail(OSError("This cannot be read at all.")), lambda said: f"{said} is untrue")
    assert said.fault == "This cannot be read at all. is untrue"


def test_a_sentence_is_held_against_what_is_so(tmp_path: Path):
    said = "model: hidden_size=32 does not divide into num_attention_heads=5; take 4 heads."
    assert untrue_claims(said, {"hidden_size": 32, "num_attention_heads": 5}) is None
    assert "hidden_size=32, which is 48" in str(untrue_claims(said, {"hidden_size": 48}))
    assert names_one_of(said, {"hidden_size"})
    assert not names_one_of(said, {"size", "heads_of"})
    assert "blames config.json" in str(blames_another("config.json is no JSON", "a.png", ["config.json"]))
    assert blames_another("a.png and config.json differ", "a.png", ["config.json"]) is None
    assert leaves({"a": {"b": 1, "c": 2}, "d": {"b": 3}}) == {"c": 2}
    before = snapshot(tmp_path)
    (tmp_path / "new").touch()
    assert changes(before, snapshot(tmp_path)) == "changed new"
