"""Whatever keeps a model from being loaded is said in a sentence that tells what would help."""

import pytest
from hub_server.faults import Fault
from hub_server.server import HubServer
from huggingface_hub import HfApi, constants

from vit_hf.commands.predict import main
from vit_hf.hub.download import fetch, local, split_revision
from vit_hf.publishing.load_classifier import load_classifier, model_folder

LOADS = [load_classifier, local, model_folder]


@pytest.mark.parametrize("load", LOADS)
def test_who_may_not_read_is_told_what_would_help(
    hub: HubServer, published: str, load, monkeypatch: pytest.MonkeyPatch
):
    hub.repository(published).private = True
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(ValueError, match="no repository on the Hub; if it is private, log in with `hf auth login`"):
        load(published)
    monkeypatch.setenv("HF_TOKEN", "hf_stranger")
    with pytest.raises(ValueError, match="or it is private and your token may not read it"):
        load(published)
    monkeypatch.setenv("HF_TOKEN", "hf_nobody")
    with pytest.raises(ValueError, match="does not know your token"):
        load(published)
    hub.repository(published).private, hub.repository(published).gated = False, True
    monkeypatch.setenv("HF_TOKEN", "hf_stranger")
    with pytest.raises(ValueError, match="for those who accepted its license"):
        load(published)


def test_a_command_says_it_and_nothing_else(hub: HubServer, published: str, tmp_path, monkeypatch, capsys):
    hub.repository(published).private = True
    monkeypatch.setenv("HF_TOKEN", "hf_stranger")
    (tmp_path / "image.png").write_bytes(b"")
    assert main([published, str(tmp_path / "image.png")]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: you/model is no folder here, and no repository on the Hub, or it is private")
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize("load", LOADS)
def test_what_is_not_there_is_named(hub: HubServer, published: str, load):
    with pytest.raises(ValueError, match="you/none is no folder here, and no repository on the Hub"):
        load("you/none")
    with pytest.raises(ValueError, match="you/model has no branch, tag or commit v9"):
        load("you/model@v9")


@pytest.mark.parametrize("load", LOADS)
def test_without_a_network_the_cache_is_missed(hub: HubServer, load, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ValueError, match="not, or not whole, in the cache. .*HF_HUB_OFFLINE is set. .*`hf download"):
        load("you/model")


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (Fault("status", "GET /storage", times=9), r"answered with an error \(500\)"),
        (Fault("drop", "GET /api/models", times=9), "The connection failed"),
        (Fault("cut", "GET /storage", after=20_000, reset=True), "The connection failed"),
    ],
)
def test_a_hub_that_fails_is_a_sentence(hub: HubServer, published: str, fault: Fault, says: str):
    hub.faults.append(fault)
    with pytest.raises(ValueError, match=says):
        load_classifier(published)


@pytest.mark.parametrize("wrong", ["model", "a/b/c", "you/model@", "/you", "you/", "../you/model"])
def test_what_cannot_be_an_id_is_not_asked_for(hub: HubServer, wrong: str):
    with pytest.raises(ValueError, match="owner/name"):
        split_revision(wrong) if wrong != "../you/model" else local(wrong)
    assert not hub.log


def test_a_strange_id_is_a_sentence(hub: HubServer):
    with pytest.raises(ValueError, match="is no id of a repository"):
        fetch("you/mo del", ["*"])


def test_ids_with_a_revision_are_taken_apart():
    assert split_revision("you/model") == ("you/model", None)
    assert split_revision("you/model@refs/pr/1") == ("you/model", "refs/pr/1")


def test_a_cache_that_cannot_be_written_is_a_sentence(hub: HubServer, published: str, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(ValueError, match="cannot be fetched or kept"):
        load_classifier(published)
    assert HfApi().repo_exists(published)
