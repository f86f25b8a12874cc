"""`vit-hf publish`, from a trained folder to a live Hub."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from hub_server.server import HubServer
from huggingface_hub import CommitOperationAdd, HfApi, ModelCard
from transformers import AutoModelForImageClassification

from vit_hf.commands.publish import main
from vit_hf.publishing import verify
from vit_hf.publishing.verify import verify_both_ways, verify_stock


def test_a_model_and_its_twin_are_proven_published_and_verified(hub: HubServer, trained: Path, capsys):
    status = main([str(trained), "you/digits", "--tag", "v1.0", "--stock", "--max-shard-size", "1MB"])
    said, complaint = capsys.readouterr()
    assert status == 0, complaint
    assert "the same, to the bit" in said
    assert "transformers alone says the same within" in said
    repository, twin = hub.repository("you/digits"), hub.repository("you/digits-stock")
    card = repository.read("README.md").decode()
    assert 'repository, revision = "you/digits", "v1.0"' in card
    assert f'code_revision="{repository.at().id}"' in said
    shown = {"predictions.png", "mistakes.png", "training_curve.png", "confusion_matrix.png"}
    assert shown | {"recipe.yaml", "metrics.json"} <= set(repository.at().files)
    assert not any(name.startswith("examples") for name in repository.at().files)
    assert not any(name.endswith(".py") for name in twin.at().files)
    data: Any = ModelCard(twin.read("README.md").decode()).data
    assert (data.base_model, data.model_name) == ("you/digits", "digits-stock")
    pixels = torch.randn(2, 3, 8, 8)
    ours, stock = (AutoModelForImageClassification.from_pretrained(f"you/digits{end}") for end in ("", "-stock"))
    torch.testing.assert_close(stock(pixels).logits, ours(pixels).logits, atol=1e-5, rtol=1e-5)
    assert main(["--verify", "you/digits@v1.0"]) == 0
    assert "verified" in capsys.readouterr().out


def test_the_twin_alone_takes_the_name_itself(hub: HubServer, trained: Path, capsys):
    status = main([str(trained), "you/digits", "--stock-only", "--message", "For everybody"])
    said, complaint = capsys.readouterr()
    assert status == 0, complaint
    assert "trust_remote_code" not in said
    commit = hub.repository("you/digits").at()
    assert commit.title == "For everybody"
    assert {"config.json", "model.safetensors", "preprocessor_config.json", "README.md"} <= set(commit.files)
    assert not any(name.endswith(".py") for name in commit.files)
    assert AutoModelForImageClassification.from_pretrained("you/digits").config.model_type == "vit"


def test_what_would_not_succeed_is_told_before_anything_is_loaded(hub: HubServer, trained: Path, capsys, monkeypatch):
    api = HfApi()
    api.create_repo("you/other")
    config = CommitOperationAdd("config.json", b'{"model_type": "bert"}')
    api.create_commit("you/other", [config], commit_message="another")
    assert main([str(trained), "you/other"]) == 2
    assert "you/other is taken: it holds a model of another kind (bert, and this is vit_hf)" in capsys.readouterr().err
    monkeypatch.delenv("HF_TOKEN")
    assert main([str(trained), "you/digits"]) == 2
    assert "no token for the Hub" in capsys.readouterr().err
    assert main([]) == 2
    assert "Name a folder and a repository" in capsys.readouterr().err


def test_a_dry_run_sends_nothing(hub: HubServer, trained: Path, capsys, monkeypatch):
    monkeypatch.setattr("vit_hf.publishing.publish.verify_both_ways", lambda folder: {})
    assert main([str(trained), "you/digits", "--dry-run"]) == 0
    assert "  model.safetensors\n" in capsys.readouterr().out
    assert not hub.log


def test_a_secret_in_the_recipe_is_named_before_anything_is_loaded(hub: HubServer, trained: Path, tmp_path, capsys):
    folder = tmp_path / "copy"
    shutil.copytree(trained, folder)
    with (folder / "recipe.yaml").open("a") as recipe:
        recipe.write("# hf_" + "aB3dE6gH9jK2mN5pQ8sT\n")
    assert main([str(folder), "you/digits"]) == 2
    assert "recipe.yaml, line" in capsys.readouterr().err
    assert not hub.log


def test_two_ways_that_differ_are_refused(tmp_path: Path, monkeypatch):
    ours = {"random_pixels_to_0": torch.zeros(2)}
    found = {"package": ours, "stranger": {"random_pixels_to_0": torch.tensor([0.0, 1e-7])}, "stock": ours}
    monkeypatch.setattr(verify, "answers", lambda folder, way: found[way])
    with pytest.raises(ValueError, match="another model with vit_hf and without it: their random_pixels_to_0"):
        verify_both_ways(tmp_path)
    assert verify_stock(tmp_path, ours) == 0
    with pytest.raises(ValueError, match="differ by nan"):
        verify_stock(tmp_path, {"random_pixels_to_0": torch.tensor([0.0, float("nan")])})
