"""A result that moves into an output folder: wherever it is cut short, nothing is lost, and nothing of two is mixed."""

import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from vit_hf import finished_folder
from vit_hf.finished_folder import (
    aside_of_run,
    begin_aside,
    is_finished,
    models_in,
    put_in_place,
    recover,
    refuse_finished,
    weights_kept,
)
from vit_hf.weight_hash import weight_hash

FIRST = {"model.safetensors": "1", "config.json": "1", "README.md": "1", "mistakes.png": "1", "examples/0.png": "1"}
SECOND = {"model.safetensors": "2", "config.json": "2", "README.md": "2", "metrics.json": "2", "examples/1.png": "2"}
OF_THE_USER = {"notes.txt": "mine", "evaluation/metrics.json": "mine", "checkpoint-3/model.safetensors": "mine"}


class Killed(BaseException):
    """As if the process were gone: nothing that would clean up or go on is called."""


def write(folder: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)


def lying_in(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_text() for path in files}


def visible(folder: Path) -> dict[str, str]:
    return {name: content for name, content in lying_in(folder).items() if not name.startswith(".")}


def kill_at(monkeypatch: pytest.MonkeyPatch, call: int) -> list[str]:
    """Before the call of this number of those that change something on the disk. -> what was called"""
    called: list[str] = []

    def counted(one: Any, name: str):
        def wrapper(*arguments: Any, **options: Any):
            if len(called) == call:
                raise Killed
            called.append(name)
            return one(*arguments, **options)

        return wrapper

    for name in ("replace", "unlink", "write_text"):
        monkeypatch.setattr(Path, name, counted(getattr(Path, name), name))
    monkeypatch.setattr(shutil, "rmtree", counted(shutil.rmtree, "rmtree"))
    monkeypatch.setattr(finished_folder, "flush_to_disk", counted(finished_folder.flush_to_disk, "flush"))
    return called


def test_wherever_it_is_killed_the_first_result_stays_or_the_second_comes_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    ended = []
    for call in range(100):
        folder = tmp_path / str(call)
        write(folder, {**FIRST, **OF_THE_USER})
        write(begin_aside(folder), SECOND)
        with monkeypatch.context() as patch:
            called = kill_at(patch, call)
            try:
                put_in_place(folder)
            except Killed:
                ended.append("killed")
            else:
                ended.append("whole")
        found = visible(folder)
        if "README.md" in found:  # by which it may be published
            assert {found[name] for name in ("README.md", "model.safetensors", "config.json")} in ({"1"}, {"2"})
        with monkeypatch.context() as patch:  # the next process is killed too, a little later
            kill_at(patch, max(0, call - 8))
            with suppress(Killed):
                recover(folder)
        recover(folder)
        found = visible(folder)
        assert found in ({**FIRST, **OF_THE_USER}, {**SECOND, **OF_THE_USER}), call
        if ended[-1] == "whole":
            assert found == {**SECOND, **OF_THE_USER}
            assert not aside_of_run(folder).exists()
            break
    assert ended.count("killed") > 15, called


def test_weights_whose_report_failed_come_into_place_without_the_card_of_others(tmp_path: Path, capsys):
    write(tmp_path, {**FIRST, **OF_THE_USER})
    write(begin_aside(tmp_path), {"model.safetensors": "2", "config.json": "2"})
    write(aside_of_run(tmp_path), {"metrics.json": "2"})
    with pytest.raises(ValueError, match="no figure"), weights_kept(tmp_path):
        raise ValueError("no figure")
    assert visible(tmp_path) == {"model.safetensors": "2", "config.json": "2", "metrics.json": "2", **OF_THE_USER}
    assert f"The trained weights are in {tmp_path}, without a card." in capsys.readouterr().out


@pytest.mark.parametrize("earlier", [False, True])
def test_weights_whose_report_was_killed_come_into_place_where_that_takes_nothing_away(tmp_path: Path, earlier: bool):
    write(tmp_path, FIRST if earlier else {})
    write(begin_aside(tmp_path), {"model.safetensors": "2", "config.json": "2"})
    guard = weights_kept(tmp_path)
    guard.__enter__()  # and then nothing more is heard of the process
    recover(tmp_path)
    assert visible(tmp_path) == (FIRST if earlier else {"model.safetensors": "2", "config.json": "2"})
    with pytest.raises(ValueError, match="finished model") as told:
        refuse_finished(tmp_path)
    assert (f"lie in {aside_of_run(tmp_path)}" in str(told.value)) == earlier


def test_half_of_the_weights_are_no_result(tmp_path: Path):
    write(begin_aside(tmp_path), {"model.safetensors": "half"})
    recover(tmp_path)
    assert visible(tmp_path) == {}
    assert not is_finished(tmp_path)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "model-00001-of-00002.safetensors"])
def test_any_model_is_refused_and_named(tmp_path: Path, name: str):
    refuse_finished(tmp_path / "new")
    refuse_finished(tmp_path)
    write(tmp_path, {name: "1"})
    assert models_in(tmp_path) == [name]
    with pytest.raises(ValueError, match=rf"finished model \({name}\).* say --overwrite"):
        refuse_finished(tmp_path)
    with pytest.raises(ValueError, match="no checkpoint of it to go on from"):
        refuse_finished(tmp_path, resume=True)
    refuse_finished(tmp_path, overwrite=True)


def test_a_run_goes_on_from_its_own_checkpoints_alone(tmp_path: Path):
    write(tmp_path / "run", {**FIRST, "checkpoint-3/config.json": "1"})
    write(tmp_path / "other", {"checkpoint-3/config.json": "1"})
    refuse_finished(tmp_path / "run", resume=True)
    refuse_finished(tmp_path / "run", resume=str(tmp_path / "run" / "checkpoint-3"))
    with pytest.raises(ValueError, match="not overwritten unasked"):
        refuse_finished(tmp_path / "run", resume=str(tmp_path / "other" / "checkpoint-3"))
    with pytest.raises(ValueError, match=r"go on with it \(--resume\)"):
        refuse_finished(tmp_path / "run")


def test_the_hash_is_of_the_tensors_and_not_of_their_files(tmp_path: Path):
    tensors = {name: torch.randn(3, number) for number, name in enumerate("abcd", start=1)}
    for name in ("one", "many", "other"):
        (tmp_path / name).mkdir()
    save_file(tensors, tmp_path / "one" / "model.safetensors", metadata={"format": "pt"})
    for number, part in enumerate(("ad", "bc"), start=1):
        own = {name: tensors[name] for name in part}
        save_file(own, tmp_path / "many" / f"model-0000{number}-of-00002.safetensors")
    save_file({**tensors, "b": tensors["b"] + 1e-6}, tmp_path / "other" / "model.safetensors")
    one, many, other = (weight_hash(tmp_path / name) for name in ("one", "many", "other"))
    assert one == many != other
    assert one is not None
    assert len(one) == 64
    assert weight_hash(tmp_path) is None
