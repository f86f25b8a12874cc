"""Hundreds of broken configs, files and recipes: each is taken rightly, or refused in a sentence, in time and memory.

`python tests/fuzz/campaign.py --help` runs as many as are wanted, of any seeds.
"""

from pathlib import Path

import pytest
from fuzz.cases import CASES, make_sources, run_cases
from fuzz.judging import judge

SMALL = {"configs": 60, "files": 60, "recipes": 120}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_sources(tmp_path_factory.mktemp("sources"))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", CASES)
def test_whatever_is_broken_is_a_sentence_or_taken_as_it_is(sources: Path, tmp_path: Path, kind: str):
    found = list(run_cases(kind, range(SMALL[kind]), sources, tmp_path))
    assert [str(verdict) for verdict in found if verdict.fault] == []
    assert any(verdict.said for verdict in found)
    assert any(not verdict.said for verdict in found)


def fail(error: BaseException) -> None:
    raise error


def test_the_judge_finds_what_is_wrong():
    assert judge("a", 0, ["size"], lambda: fail(ValueError("size=5 has to be larger; take 7."))).fault is not None
    assert judge("a", 0, ["size"], lambda: fail(OSError("size=5 has to be larger; take 7."))).fault is None
    assert "names nothing" in str(judge("a", 0, ["size"], lambda: fail(OSError("This cannot be read at all."))))
    assert "hardly anything" in str(judge("a", 0, [""], lambda: fail(OSError("no"))))
    assert "KeyError" in str(judge("a", 0, [""], lambda: fail(KeyError("x"))))
    assert judge("a", 0, [""], lambda: "other weights").fault == "other weights"
