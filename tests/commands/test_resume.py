"""--resume as a user types it."""

import json
import os
import shutil
import signal
from pathlib import Path

import pytest
import torch
from made_images import class_folders
from transformers import TrainerCallback

from vit_hf.commands.train import main
from vit_hf.runs.results import FinishedRun
from vit_hf.training.trainer.resumable import ResumableTrainer

TINY = {"image_size": 8, "patch_size": 4, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}


@pytest.fixture(autouse=True)
def no_card_and_no_fresh_process(monkeypatch: pytest.MonkeyPatch):
    """They are tested elsewhere, and take longer than the training."""
    monkeypatch.setattr(FinishedRun, "save", lambda run: run.place() or {})
    monkeypatch.setattr("vit_hf.runs.train.reload_without_package", lambda folder, images: [])


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """Six steps on twelve noisy photos, with a checkpoint after each two."""
    photos = class_folders(tmp_path / "photos", {"cat": 8, "dog": 7})
    training = {"max_steps": 6, "per_device_train_batch_size": 4, "save_steps": 2, "output_dir": str(tmp_path / "out")}
    model = {**TINY, "intermediate_size": 32, "drop_path_rate": 0.2}
    path = tmp_path / "recipe.yaml"
    sections = {"model": model, "data": {"name": str(photos), "train": {"flip": 0.5}}, "training": training}
    path.write_text(json.dumps(sections))
    return path


def interrupting(monkeypatch: pytest.MonkeyPatch, step: int, number: signal.Signals) -> None:
    """The next run gets this signal at the beginning of that step."""

    class Interrupt(TrainerCallback):
        def on_step_begin(self, args, state, control, **kwargs):
            if state.global_step == step:
                os.kill(os.getpid(), number)

    train = ResumableTrainer.train

    def train_interrupted(self, *args, **kwargs):
        self.add_callback(Interrupt())
        return train(self, *args, **kwargs)

    monkeypatch.setattr(ResumableTrainer, "train", train_interrupted)


def weights(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


def test_sigterm_then_resume_gives_the_same_file_as_no_interruption(
    tmp_path: Path, recipe: Path, monkeypatch: pytest.MonkeyPatch, capsys
):
    whole = tmp_path / "whole"
    assert main([str(recipe), "--training.output_dir", str(whole)]) == 0
    with monkeypatch.context() as patch:
        interrupting(patch, 3, signal.SIGTERM)
        assert main([str(recipe), "--resume"]) == 75
    said = capsys.readouterr().err
    assert f"SIGTERM came; stopped after step 4, saved in {tmp_path / 'out' / 'checkpoint-4'}" in said
    assert "The same command with --resume goes on" in said
    assert main([str(recipe), "--resume"]) == 0
    assert weights(tmp_path / "out") == weights(whole)


def test_ctrl_c_says_how_to_go_on(tmp_path: Path, recipe: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    interrupting(monkeypatch, 3, signal.SIGINT)
    assert main([str(recipe)]) == 130
    said = capsys.readouterr().err
    assert (
        f"Stopped after step 3. The same command with --resume goes on from {tmp_path / 'out' / 'checkpoint-2'}" in said
    )


def test_a_changed_recipe_and_a_wrong_checkpoint_are_one_sentence(tmp_path: Path, recipe: Path, capsys):
    short = ["--training.max_steps", "2"]
    assert main([str(recipe), *short]) == 0
    assert main([str(recipe), *short]) == 2
    assert "holds a finished model" in capsys.readouterr().err
    assert main([str(recipe), "--resume", "--training.learning_rate", "0.5", *short]) == 2
    assert "training.learning_rate was 'not set' and is 0.5" in capsys.readouterr().err
    assert main([str(recipe), "--resume", str(tmp_path / "out" / "checkpoint-9"), *short]) == 2
    assert "There is no checkpoint" in capsys.readouterr().err
    assert main([str(recipe), "--resume-anyway", "--training.learning_rate", "0.5", "--training.max_steps", "3"]) == 0
    assert "Going on all the same" in capsys.readouterr().out


def test_data_that_changed_are_named_before_a_run_goes_on(tmp_path: Path, recipe: Path, capsys):
    assert main([str(recipe)]) == 0
    shutil.move(tmp_path / "photos" / "cat" / "0.png", tmp_path / "photos" / "dog" / "cat0.png")
    capsys.readouterr()
    assert main([str(recipe), "--resume"]) == 2
    error = capsys.readouterr().err
    assert "1 renamed: cat/0.png (now dog/cat0.png)" in error
    assert "1 of another label: cat/0.png (cat before, dog now)" in error
    assert f"--data.split {tmp_path / 'out'}" in error
    assert main([str(recipe), "--resume-anyway"]) == 0


def test_data_that_moved_as_a_whole_are_the_same(tmp_path: Path, recipe: Path, capsys):
    assert main([str(recipe)]) == 0
    shutil.move(tmp_path / "photos", tmp_path / "elsewhere" / "photos")
    assert main([str(recipe), "--resume", "--data.name", str(tmp_path / "elsewhere" / "photos")]) == 0


def test_a_run_goes_on_with_archives_that_were_unpacked_elsewhere_or_by_hand(
    tmp_path: Path, recipe: Path, monkeypatch: pytest.MonkeyPatch
):
    whole, packed, plain = tmp_path / "whole", tmp_path / "packed", tmp_path / "plain" / "packed"
    for split, counts in {"train": {"cat": 7, "dog": 8}, "test": {"cat": 2, "dog": 3}}.items():
        class_folders(plain / split, counts)
        shutil.make_archive(str(packed / split), "zip", plain / split)
    words = [str(recipe), "--data.name", str(packed)]
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert main([*words, "--training.output_dir", str(whole)]) == 0
    with monkeypatch.context() as patch:
        interrupting(patch, 3, signal.SIGTERM)
        assert main(words) == 75
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another cache"))
    shutil.copytree(tmp_path / "out", tmp_path / "by hand")
    assert main([*words, "--resume"]) == 0
    by_hand = ["--data.name", str(plain), "--training.output_dir", str(tmp_path / "by hand")]
    assert main([str(recipe), "--resume", *by_hand]) == 0
    assert weights(tmp_path / "out") == weights(tmp_path / "by hand") == weights(whole)


def test_a_lack_of_memory_is_a_sentence_with_a_smaller_batch(recipe: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    def full(*args, **kwargs):
        raise torch.OutOfMemoryError("Tried to allocate 20 GiB. Of the rest nothing is said.")

    monkeypatch.setattr(ResumableTrainer, "training_step", full)
    assert main([str(recipe), "--training.per_device_train_batch_size", "8"]) == 2
    said = capsys.readouterr().err
    assert "ran out of memory in step 1, with training.per_device_train_batch_size: 8." in said
    assert "Take --training.per_device_train_batch_size 4 --training.gradient_accumulation_steps 2" in said


def test_a_run_that_is_refused_leaves_the_split_of_the_one_under_way(
    tmp_path: Path, recipe: Path, monkeypatch: pytest.MonkeyPatch, capsys
):
    with monkeypatch.context() as patch:
        interrupting(patch, 3, signal.SIGTERM)
        assert main([str(recipe)]) == 75
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    others = class_folders(tmp_path / "others", {"cow": 8, "hen": 7})
    assert main([str(recipe), "--data.name", str(others)]) == 2
    assert "holds checkpoints of an earlier run" in capsys.readouterr().err
    assert main([str(recipe), "--resume", "--training.learning_rate", "0.5"]) == 2
    assert "training.learning_rate was 'not set' and is 0.5" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()} == before
    assert main([str(recipe), "--resume"]) == 0
