import json
from pathlib import Path

import pytest

from vit_hf.training.trainer.checkpoints import (
    ASIDE,
    CheckpointNotWritten,
    checkpoint_aside,
    checkpoints_in,
    fault_of,
    newest_complete,
    refuse_damaged_checkpoint,
    remove_leftovers,
    remove_outdated,
)


def write(root: Path, step: int) -> Path:
    folder = root / f"checkpoint-{step}"
    with checkpoint_aside(folder) as aside:
        (aside / "weights").write_bytes(bytes([step % 256]) * 100)
        (aside / "states").mkdir()
        (aside / "states" / "averages").write_bytes(b"123")
    return folder


def names(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir())


def test_a_checkpoint_has_its_name_only_once_it_is_whole(tmp_path: Path):
    folder = tmp_path / "checkpoint-5"
    with checkpoint_aside(folder) as aside:
        (aside / "weights").write_bytes(b"1")
        assert checkpoints_in(tmp_path) == []
    assert names(tmp_path) == ["checkpoint-5"]
    assert fault_of(folder) is None
    assert json.loads((folder / "manifest.json").read_text())["files"]["weights"]["size"] == 1


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        (lambda folder: (folder / "weights").write_bytes(b"1" * 99), "weights has 99 bytes instead of 100"),
        (lambda folder: (folder / "weights").write_bytes(b"1" * 100), "weights has other bytes than were written"),
        (lambda folder: (folder / "states" / "averages").unlink(), "states/averages is missing"),
        (lambda folder: (folder / "manifest.json").unlink(), "no manifest.json, which is written last"),
        (lambda folder: (folder / "manifest.json").write_text('{"files": {'), "manifest.json is damaged"),
        (lambda folder: (folder / "manifest.json").write_text("[]"), "manifest.json is damaged"),
    ],
)
def test_a_damaged_checkpoint_is_passed_over_with_one_line(tmp_path: Path, damage, fault: str, capsys):
    before, damaged = write(tmp_path, 9), write(tmp_path, 10)
    damage(damaged)
    assert newest_complete(tmp_path) == before
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1
    assert fault in lines[0]
    assert str(damaged) in lines[0]
    with pytest.raises(ValueError, match=f"cannot be resumed from: .*{fault}"):
        refuse_damaged_checkpoint(damaged)


def test_checkpoints_count_by_step_and_not_by_letters(tmp_path: Path):
    for step in (100, 20, 3):
        write(tmp_path, step)
    (tmp_path / "checkpoint-best").mkdir()
    assert [folder.name for folder in checkpoints_in(tmp_path)] == ["checkpoint-3", "checkpoint-20", "checkpoint-100"]


def test_what_a_kill_left_behind_is_cleared_away_and_never_taken_for_a_checkpoint(tmp_path: Path):
    write(tmp_path, 3)
    left = tmp_path / f"{ASIDE}checkpoint-6"
    left.mkdir()
    (left / "weights").write_bytes(b"half of it")
    assert [folder.name for folder in checkpoints_in(tmp_path)] == ["checkpoint-3"]
    remove_leftovers(tmp_path)
    assert names(tmp_path) == ["checkpoint-3"]


def test_a_checkpoint_written_again_replaces_the_damaged_one(tmp_path: Path):
    (write(tmp_path, 3) / "weights").unlink()
    assert fault_of(write(tmp_path, 3)) is None


@pytest.mark.parametrize(
    ("limit", "best", "kept"),
    [
        (None, 1, [1, 2, 3, 4, 5]),
        (2, None, [4, 5]),
        (3, 1, [1, 4, 5]),  # the best is one of the three
        (1, 2, [2, 5]),  # of one, the best and the newest stay, or there is nothing to resume from
        (1, 5, [5]),
        (9, 1, [1, 2, 3, 4, 5]),
    ],
)
def test_the_newest_and_the_best_are_kept(tmp_path: Path, limit: int | None, best: int | None, kept: list[int]):
    for step in range(1, 6):
        write(tmp_path, step)
    remove_outdated(tmp_path, 5, limit, [tmp_path / f"checkpoint-{best}"] if best else [])
    assert names(tmp_path) == [f"checkpoint-{step}" for step in kept]


def test_checkpoints_of_a_later_step_are_another_run_s_and_stay(tmp_path: Path):
    for step in (1, 2, 3, 9):
        write(tmp_path, step)
    remove_outdated(tmp_path, 3, 1)
    assert names(tmp_path) == ["checkpoint-3", "checkpoint-9"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), RuntimeError("PytorchStreamWriter failed")])
def test_a_write_that_fails_leaves_those_before_it_and_says_what_to_do(tmp_path: Path, error: Exception):
    before = write(tmp_path, 3)

    def fail_half_way():
        with checkpoint_aside(tmp_path / "checkpoint-6") as aside:
            (aside / "weights").write_bytes(b"half of it")
            raise error

    with pytest.raises(CheckpointNotWritten) as raised:
        fail_half_way()
    assert f"{before} is intact: make room, and continue with --resume" in str(raised.value)
    assert "MB are free" in str(raised.value)
    assert names(tmp_path) == ["checkpoint-3"]
    assert fault_of(before) is None


def test_only_the_process_that_writes_touches_the_disk(tmp_path: Path):
    with checkpoint_aside(tmp_path / "checkpoint-3", writes=False) as aside:
        assert not aside.exists()
    assert names(tmp_path) == []
