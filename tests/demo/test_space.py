"""The app as a Space, pushed to a live Hub by the real clients."""

import json
import shutil
from pathlib import Path

import pytest
from hub_server.call import front_matter
from hub_server.faults import Fault
from hub_server.server import HubServer
from huggingface_hub import CommitOperationAdd, HfApi

from vit_hf.demo import space
from vit_hf.demo.space import prove_that_it_runs, push_space

pytest.importorskip("gradio")


@pytest.fixture
def proofs(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, bytes]]:
    """What would have been proven to run."""
    found: list[dict[str, bytes]] = []
    monkeypatch.setattr(space, "prove_that_it_runs", lambda folder: found.append(contents(folder)))
    return found


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def silent(line: str) -> None:
    """What is said on the way."""


def test_what_is_proven_to_run_is_pushed_whole_and_nothing_else(hub: HubServer, model_folder: Path, proofs):
    title = '"""Digits""" : {x}'
    pushed = push_space(str(model_folder), "you/demo", title=title, private=True, say=silent)
    repository = hub.repository("spaces/you/demo")
    assert pushed.commit_url.endswith(f"/spaces/you/demo/commit/{repository.at().id}")
    assert repository.private
    files = {name: repository.read(name) for name in repository.at().files if name != ".gitattributes"}
    assert proofs == [files]
    assert {name.partition("/")[0] for name in files} == {
        *("README.md", "app.py", "examples", "model", "requirements.txt", "vit_hf")
    }
    header = front_matter(files["README.md"].decode())
    assert (header["title"], header["sdk"], header["app_file"]) == (title, "gradio", "app.py")
    assert header["license"] == "apache-2.0"
    needs = files["requirements.txt"].decode().splitlines()
    assert any(line.startswith("transformers>=") for line in needs)
    assert not any(line.startswith(("gradio", "av>")) for line in needs)


def test_a_model_of_the_hub_is_loaded_from_there_at_its_commit(hub: HubServer, published: str, proofs):
    push_space(published, "you/demo", say=silent)
    repository, commit = hub.repository("spaces/you/demo"), hub.repository(published).at().id
    assert f"Exhibit('you/model@{commit}')" in repository.read("app.py").decode()
    assert front_matter(repository.read("README.md").decode())["models"] == ["you/model"]
    assert not any(name.startswith("model/") for name in repository.at().files)


def test_a_second_push_takes_the_place_of_the_first(hub: HubServer, model_folder: Path, published: str, proofs):
    push_space(str(model_folder), "you/demo", say=silent)
    note = CommitOperationAdd("notes.md", b"mine")
    HfApi().create_commit("you/demo", [note], commit_message="a note", repo_type="space")
    push_space(published, "you/demo", say=silent)
    files = hub.repository("spaces/you/demo").at().files
    assert "notes.md" in files
    assert not any(name.startswith(("model/", "examples/")) for name in files)


def test_another_app_is_not_overwritten(hub: HubServer, model_folder: Path, proofs):
    HfApi().create_repo("you/demo", repo_type="space", space_sdk="gradio")
    other = CommitOperationAdd("app.py", b"print('mine')")
    HfApi().create_commit("you/demo", [other], commit_message="mine", repo_type="space")
    with pytest.raises(ValueError, match="The Space you/demo is taken"):
        push_space(str(model_folder), "you/demo", say=silent)
    assert not proofs


def test_what_does_not_arrive_leaves_nothing(hub: HubServer, model_folder: Path, proofs):
    hub.faults.append(Fault("status", "POST .*/commit/", times=9, status=400))
    with pytest.raises(ValueError, match="The repository is as it was"):
        push_space(str(model_folder), "you/demo", say=silent)
    assert "spaces/you/demo" not in hub.hub.repositories


def test_a_name_that_is_none_is_refused_before_anything_is_loaded(hub: HubServer, model_folder: Path, proofs):
    for name in ("you/demo/more", "/demo", "you/de mo"):
        with pytest.raises(ValueError, match="is no id of a repository"):
            push_space(str(model_folder), name, say=silent)
    with pytest.raises(ValueError, match="may not write to others/demo"):
        push_space(str(model_folder), "others/demo", say=silent)


def test_a_secret_is_not_published(hub: HubServer, model_folder: Path, tmp_path: Path, proofs):
    folder = tmp_path / "copy"
    shutil.copytree(model_folder, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "note": "hf_" + "aB3dE6gH9jK2mN5pQ8sT"}))
    with pytest.raises(ValueError, match="config.json, line 1: a token of the Hub"):
        push_space(str(folder), "you/demo", say=silent)
    assert "spaces/you/demo" not in hub.hub.repositories


def test_an_app_that_does_not_start_is_told_with_its_last_line(tmp_path: Path):
    (tmp_path / "app.py").write_text("raise ValueError('no model here')")
    with pytest.raises(ValueError, match=r"does not run in a fresh process \(ValueError: no model here\)"):
        prove_that_it_runs(tmp_path)
