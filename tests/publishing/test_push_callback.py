"""A training that pushes to a live Hub, and one whose Hub fails."""

import json
import logging
from pathlib import Path

import pytest
from hub_server.faults import Fault
from hub_server.server import HubServer
from made_images import class_folders

from vit_hf.commands.train import main
from vit_hf.hub.attempts import ATTEMPTS
from vit_hf.training.recipe.yaml_files import read_yaml


@pytest.fixture
def words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Four steps on twelve images, saved at every second; paths as a user in this folder gives them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("vit_hf.hub.attempts.sleep", lambda seconds: None)
    class_folders(tmp_path / "photos", {"cat": 6, "dog": 6})
    training = {"max_steps": 4, "per_device_train_batch_size": 4, "output_dir": "out", "push_to_hub": True}
    training |= {"save_strategy": "steps", "save_steps": 2, "hub_model_id": "you/photos", "hub_always_push": True}
    model = {"size": "ti", "image_size": 8, "patch_size": 4, "num_hidden_layers": 1}
    recipe = {"model": model, "data": {"name": "photos"}, "training": training}
    (tmp_path / "recipe.yaml").write_text(json.dumps(recipe))
    return ["recipe.yaml"]


FOLDERS = {
    "checkpoint": [{"last-checkpoint"}] * 2,
    "all_checkpoints": [{"checkpoint-2"}, {"checkpoint-2", "checkpoint-4"}],
}


@pytest.mark.parametrize(
    ("strategy", "commits"), [("end", 1), ("every_save", 3), ("checkpoint", 3), ("all_checkpoints", 3)]
)
def test_each_strategy_pushes_code_and_card(hub: HubServer, words: list[str], strategy: str, commits: int):
    assert main([*words, "--training.hub_strategy", strategy]) == 0
    repository = hub.repository("you/photos")
    history = [commit for commit in repository.history() if commit.parent]
    assert len(history) == commits
    for commit in history:
        assert {"modeling_vit.py", "model.safetensors", "preprocessor_config.json", "README.md"} <= set(commit.files)
        assert "More" not in repository.read("README.md", commit.id).decode()
    inside = [{path.partition("/")[0] for path in commit.files if "checkpoint" in path} for commit in reversed(history)]
    assert inside[: commits - 1] == FOLDERS.get(strategy, [set()] * (commits - 1))
    assert "What was measured" in repository.read("README.md").decode()
    if commits > 1:
        assert "under way (step 2 of 4)" in repository.read("README.md", history[-1].id).decode()


def test_a_hub_that_fails_costs_one_warning_and_everything_is_there_at_the_end(hub: HubServer, words, caplog):
    hub.faults.append(Fault("status", "/commit/", times=ATTEMPTS * 2))
    with caplog.at_level(logging.WARNING, logger="vit_hf"):
        assert main([*words, "--training.hub_strategy", "every_save"]) == 0
    warnings = [record.getMessage() for record in caplog.records if "The training goes on" in record.getMessage()]
    assert len(warnings) == 1
    assert len([commit for commit in hub.repository("you/photos").history() if commit.parent]) == 1
    assert not list(Path("out").glob(".push-*"))


def test_a_hub_that_stays_away_leaves_the_trained_folder_and_a_sentence(hub: HubServer, words, capsys):
    hub.faults.append(Fault("status", "/api/", times=10_000))
    assert main([*words, "--training.hub_strategy", "every_save"]) == 2
    assert "answered with an error (500)" in capsys.readouterr().err
    assert Path("out/model.safetensors").is_file()
    assert read_yaml(Path("out/recipe.yaml"))["training"]["push_to_hub"] is True


def test_a_token_that_may_not_write_is_told_before_the_training(hub: HubServer, words, capsys, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_nobody")
    assert main(words) == 2
    assert "does not know your token" in capsys.readouterr().err
    assert not Path("out").exists()
