"""Models come back from the Hub as they went, whatever becomes of the connection and of the cache."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from hub_server.faults import Fault
from hub_server.server import HubServer
from huggingface_hub import HfApi, constants, hf_hub_download
from transformers import AutoConfig, AutoImageProcessor, AutoModel, AutoModelForImageClassification

from vit_hf import VisionTransformerForImageClassification
from vit_hf.commands.publish import main as publish
from vit_hf.conversion.pretrained import load_any
from vit_hf.hub.download import damaged_files
from vit_hf.publishing.load_classifier import load_classifier, model_folder
from vit_hf.publishing.verify_remote import verify_remote


def same(model, folder: Path) -> bool:
    original: Any = VisionTransformerForImageClassification.from_pretrained(folder)
    expected = original.state_dict()
    state = model.state_dict()
    return state.keys() == expected.keys() and all(torch.equal(state[name], expected[name]) for name in expected)


def weights_in_cache() -> Path:
    (file,) = Path(constants.HF_HUB_CACHE).rglob("model.safetensors")
    return file


def turn_a_byte(file: Path, place: int) -> None:
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)


def test_every_revision_comes_back(hub: HubServer, published: str, saved: Path, saved_later: Path):
    api = HfApi()
    api.create_tag(published, tag="v1")
    commit = hub.repository(published).at().id
    api.create_branch(published, branch="dev")
    api.upload_folder(repo_id=published, folder_path=saved_later, revision="dev")
    for load in (
        VisionTransformerForImageClassification.from_pretrained,
        AutoModelForImageClassification.from_pretrained,
    ):
        for revision in ("main", "v1", commit):
            assert same(load(published, revision=str(revision)), saved)
        assert same(load(published, revision="dev"), saved_later)
    assert same(load_classifier(f"{published}@dev")[0], saved_later)
    assert same(load_classifier(f"{published}@v1")[0], saved)
    loaded = load_any(f"{published}@v1")
    assert same(loaded.model, saved)
    assert (loaded.base_model, loaded.license) == (published, "apache-2.0")
    assert AutoConfig.from_pretrained(published).model_type == "vit_hf"
    assert [*AutoImageProcessor.from_pretrained(published).image_std] == [0.25] * 3
    assert AutoModel.from_pretrained(published).config.hidden_size == 32
    assert {request.user for request in hub.requests(" /storage/")} == {None}


def test_what_is_cached_needs_no_network(hub: HubServer, published: str, saved: Path, monkeypatch: pytest.MonkeyPatch):
    load_classifier(published)
    hub.log.clear()
    assert same(load_classifier(published)[0], saved)
    assert not hub.requests("GET .*(resolve|storage)")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    hub.log.clear()
    assert same(load_classifier(published)[0], saved)
    assert same(VisionTransformerForImageClassification.from_pretrained(published), saved)
    assert not hub.log


def test_what_transformers_has_cached_will_do(
    hub: HubServer, published: str, saved: Path, monkeypatch: pytest.MonkeyPatch
):
    for auto in (AutoModelForImageClassification, AutoImageProcessor):
        auto.from_pretrained(published)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert same(load_classifier(published)[0], saved)


def test_a_server_that_fails_is_no_reason_not_to_use_the_cache(hub: HubServer, published: str, saved: Path):
    load_classifier(published)
    hub.faults.append(Fault("status", "", times=99, status=503, headers={"Retry-After": "0"}))
    assert same(load_classifier(published)[0], saved)


@pytest.mark.parametrize(
    "load", [VisionTransformerForImageClassification.from_pretrained, lambda name: load_classifier(name)[0]]
)
def test_a_download_that_breaks_off_goes_on_where_it_was(hub: HubServer, published: str, saved: Path, load):
    hub.faults.append(Fault("cut", "GET /storage", after=50_000))
    assert same(load(published), saved)
    assert [request.range for request in hub.requests("GET /storage")] == [None, f"bytes={3 * (1 << 14)}-"]
    assert weights_in_cache().read_bytes() == (saved / "model.safetensors").read_bytes()


def test_a_server_with_too_many_visitors_is_asked_again(hub: HubServer, published: str, saved: Path):
    hub.faults.append(Fault("status", "GET /storage", status=429, headers={"Retry-After": "0"}))
    assert same(load_classifier(published)[0], saved)


@pytest.mark.parametrize("offline", [False, True])
def test_a_file_that_changed_in_the_cache_is_named(
    hub: HubServer, published: str, saved: Path, offline: bool, monkeypatch: pytest.MonkeyPatch
):
    load_classifier(published)
    file = weights_in_cache()
    turn_a_byte(file, -1)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", offline)
    for load in (load_classifier, load_any):
        with pytest.raises(ValueError, match="model.safetensors of you/model is damaged in the cache") as caught:
            load(published)
    assert str(file.resolve()) in str(caught.value)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    file.resolve().unlink()
    assert same(load_classifier(published)[0], saved)


def test_small_files_are_checked_too(hub: HubServer, published: str):
    folder = model_folder(published)
    assert damaged_files(folder) == []
    turn_a_byte(folder / "preprocessor_config.json", 3)
    assert damaged_files(folder) == [folder / "preprocessor_config.json"]


def test_a_file_that_was_cut_off_in_the_cache_is_named(hub: HubServer, published: str):
    VisionTransformerForImageClassification.from_pretrained(published)
    file = weights_in_cache().resolve()
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(OSError, match="weights in you/model cannot be read .* truncated or damaged"):
        VisionTransformerForImageClassification.from_pretrained(published)
    with pytest.raises(ValueError, match="model.safetensors of you/model is damaged"):
        load_classifier(published)


def test_a_wrong_byte_on_the_way_is_noticed(hub: HubServer, published: str):
    hub.faults.append(Fault("corrupt", "GET /storage"))
    with pytest.raises(ValueError, match="model.safetensors of you/model is damaged"):
        load_classifier(published)


def test_what_lies_on_the_hub_is_what_was_pushed(hub: HubServer, published: str, saved: Path, tmp_path: Path):
    check = verify_remote(published, saved)
    assert check.passed, check
    assert {"config.json", "model.safetensors", "preprocessor_config.json"} < {*check.files}
    assert check.commit == HfApi().model_info(published).sha
    assert not Path(constants.HF_HUB_CACHE).exists()  # our own cache had no part in it

    other = shutil.copytree(saved, tmp_path / "other")
    turn_a_byte(other / "model.safetensors", -2)
    check = verify_remote(published, other)
    assert not check.passed
    assert check.changed == ["model.safetensors"]
    assert check.difference > 0
    assert f"model.safetensors differs from the one in {other}" in str(check)


def test_a_download_that_is_not_what_the_hub_says_is_reported(hub: HubServer, published: str, capsys):
    assert publish(["--verify", f"{published}@main"]) == 0
    assert capsys.readouterr().out.endswith("\nverified\n")
    hub.faults.append(Fault("corrupt", "GET /storage"))
    assert publish(["--verify", f"{published}@main"]) == 1
    assert "model.safetensors is not what the Hub says it is" in capsys.readouterr().out
    hub.faults.append(Fault("corrupt", "GET /storage"))
    check = verify_remote(f"{published}@main")
    assert not check.passed
    assert check.damaged == check.changed == ["model.safetensors"]


def test_shards_come_back_together(hub: HubServer, saved: Path, tmp_path: Path):
    model: Any = VisionTransformerForImageClassification.from_pretrained(saved)
    model.push_to_hub("you/shards", max_shard_size="60KB")
    shards = [name for name in HfApi().list_repo_files("you/shards") if name.endswith(".safetensors")]
    assert len(shards) > 1
    assert same(VisionTransformerForImageClassification.from_pretrained("you/shards"), saved)
    index = json.loads(Path(hf_hub_download("you/shards", "model.safetensors.index.json")).read_text())
    assert {*index["weight_map"].values()} == {*shards}
