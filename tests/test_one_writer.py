"""Who may write into an output folder, and who is told that another does."""

import json
import os
import signal
import socket
import threading
import time
from pathlib import Path

import pytest
from killable_runs import small_trainer
from processes import CONTEXT, ended, started_group, wait_for

from vit_hf import one_writer as module
from vit_hf.files import ASIDE
from vit_hf.one_writer import HOLDER, LOCK, is_first_process, judge, one_writer, read_holder, refuse_live_run
from vit_hf.training.trainer.checkpoints import checkpoints_in

HERE = {"host": socket.gethostname(), "process": os.getpid(), "since": "now", "beat": 1}
GONE = {**HERE, "process": 2**22 + 1}  # no system numbers its processes so high
AWAY = {**HERE, "host": "another"}


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "BEAT", 0.02)
    monkeypatch.setattr(module, "SILENCE", 0.2)


def hold(folder: Path) -> None:
    with one_writer(folder):
        time.sleep(600)


# locked is True: the system gave us the lock; False: another has it; None: the file system knows no locks.
VERDICTS = {
    (True, "nobody"): "ours",
    (True, "alive here"): "ours",  # a process that was given a dead one's number
    (True, "dead here"): "ours",
    (True, "silent elsewhere"): "wait",
    (True, "beating elsewhere"): "theirs",  # a lock that other machines do not see
    (False, "nobody"): "theirs",
    (False, "alive here"): "theirs",
    (False, "dead here"): "wait",  # its children end soon
    (False, "silent elsewhere"): "theirs",
    (False, "beating elsewhere"): "theirs",
    (None, "nobody"): "ours",
    (None, "alive here"): "theirs",
    (None, "dead here"): "ours",
    (None, "silent elsewhere"): "wait",
    (None, "beating elsewhere"): "theirs",
}


@pytest.mark.parametrize(("locked", "who"), VERDICTS)
def test_lock_and_record_together_say_whose_a_folder_is(locked: bool | None, who: str):
    first = {"nobody": None, "alive here": HERE, "dead here": GONE}.get(who, AWAY)
    now = {**AWAY, "beat": 2} if who == "beating elsewhere" else first
    assert judge(locked, now, first) == VERDICTS[locked, who]


def test_a_second_process_is_refused_with_machine_and_number_until_the_first_is_killed(tmp_path: Path):
    first = CONTEXT.Process(target=hold, args=(tmp_path,), daemon=True)
    first.start()
    with ended(first):
        wait_for(lambda: read_holder(tmp_path) is not None, first)
        before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir() if path.name != HOLDER}
        for _ in range(2):
            with pytest.raises(ValueError, match=rf"^Process {first.pid} on {socket.gethostname()} is writing into"):
                refuse_live_run(tmp_path)
        assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir() if path.name != HOLDER} == before
        os.kill(first.pid or 0, signal.SIGKILL)
        first.join()
        assert (tmp_path / HOLDER).is_file()  # what it left
        with one_writer(tmp_path), one_writer(tmp_path / "." / "inner" / ".."):  # the same process may enter again
            holder = read_holder(tmp_path)
            assert holder is not None
            assert holder["process"] == os.getpid()
    assert [path.name for path in tmp_path.iterdir()] == [LOCK]


def test_what_is_looked_at_is_not_made(tmp_path: Path):
    refuse_live_run(tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("locks", [True, False])
def test_a_silent_record_of_another_machine_is_watched_and_taken_over(
    tmp_path: Path, quick, monkeypatch: pytest.MonkeyPatch, locks: bool
):
    if not locks:
        monkeypatch.setattr(module, "try_lock", lambda path, stack: None)
    (tmp_path / HOLDER).write_text(json.dumps(AWAY))
    start = time.monotonic()
    with one_writer(tmp_path):
        assert time.monotonic() - start >= module.SILENCE
        holder = read_holder(tmp_path)
        assert holder is not None
        assert holder["host"] == socket.gethostname()


@pytest.mark.parametrize("locks", [True, False])
def test_a_beating_record_of_another_machine_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick, locks: bool
):
    if not locks:
        monkeypatch.setattr(module, "try_lock", lambda path, stack: None)
    over = threading.Event()

    def beat() -> None:
        number = 0
        while not over.wait(0.01):
            number += 1
            module.write_at_once(tmp_path / HOLDER, json.dumps({**AWAY, "beat": number}))

    (tmp_path / HOLDER).write_text(json.dumps(AWAY))
    thread = threading.Thread(target=beat)
    thread.start()
    try:
        with pytest.raises(ValueError, match=r"on another is writing into"), one_writer(tmp_path):
            pass
    finally:
        over.set()
        thread.join()


def test_without_locks_a_live_process_of_this_machine_is_refused_and_a_dead_one_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "try_lock", lambda path, stack: None)
    (tmp_path / HOLDER).write_text(json.dumps({**HERE, "process": os.getppid()}))
    with pytest.raises(ValueError, match=f"Process {os.getppid()} on"), one_writer(tmp_path):
        pass
    (tmp_path / HOLDER).write_text(json.dumps(GONE))
    with one_writer(tmp_path):
        pass


def test_a_run_of_two_processes_has_one_lock_and_nobody_resumes_beside_it(tmp_path: Path):
    half = tmp_path / f"{ASIDE}checkpoint-99"
    processes = started_group(2, tmp_path, seconds_per_step=0.3, max_steps=12, save_steps=4)
    with ended(*processes):
        wait_for(lambda: bool(checkpoints_in(tmp_path)), processes[0])
        half.mkdir()  # as if it were writing one
        for resume in (True, False):
            with pytest.raises(ValueError, match=rf"Process {processes[0].pid} on .* is writing into"):
                small_trainer(tmp_path).train(resume_from_checkpoint=resume)
        assert half.is_dir()
    assert [process.exitcode for process in processes] == [0, 0]
    assert checkpoints_in(tmp_path)[-1].name == "checkpoint-12"


def hold_with_a_child(folder: Path) -> None:
    with one_writer(folder):
        if os.fork() == 0:  # as a loader's worker, which notices a little later that nobody waits for it
            while read_text(folder / "over") is None:
                time.sleep(0.01)
            os._exit(0)
        time.sleep(600)


def read_text(path: Path) -> str | None:
    return path.read_text() if path.is_file() else None


def test_the_children_of_a_killed_process_are_in_nobody_s_way(tmp_path: Path):
    first = CONTEXT.Process(target=hold_with_a_child, args=(tmp_path,), daemon=True)
    first.start()
    with ended(first):
        wait_for(lambda: read_holder(tmp_path) is not None, first)
        time.sleep(0.2)
        os.kill(first.pid or 0, signal.SIGKILL)
        first.join()
    later = threading.Timer(0.5, (tmp_path / "over").touch)
    later.start()
    with one_writer(tmp_path):  # at once with newer versions of filelock, else after them
        pass
    later.join()


@pytest.mark.parametrize(
    ("environment", "first"),
    [({}, True), ({"RANK": "0"}, True), ({"RANK": "3"}, False), ({"PMI_RANK": "1"}, False), ({"RANK": ""}, True)],
)
def test_the_first_process_is_known_before_they_know_each_other(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], first: bool
):
    for name in module.RANKS:
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert is_first_process() == first
