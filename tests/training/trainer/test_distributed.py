import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from killable_runs import Averages, KillAt, Killed, small_images, small_trainer
from processes import ended, finish_group, save_evaluation, started_group, wait_for
from safetensors.torch import load_file

from vit_hf.commands.cli import RESUMABLE
from vit_hf.training.trainer.callbacks import reproducible
from vit_hf.training.trainer.checkpoints import checkpoints_in

# 24 steps of 4 images, the last of each epoch filled up. Dropout draws in each process, so there is none here;
# the augmentation of an image is the same wherever it is read.
CALM = {"model": {"hidden_dropout_prob": 0.0, "drop_path_rate": 0.0}, "logging_steps": 1, "num_train_epochs": 4}
HALF = {**CALM, "per_device_train_batch_size": 2}
LAST = "checkpoint-24"


def losses(folder: Path) -> list[float]:
    return [line["loss"] for line in reproducible((folder / "metrics.jsonl").read_text()) if "loss" in line]


def averages(folder: Path) -> dict[str, torch.Tensor]:
    """Those of a callback, and the Trainer's own."""
    return {
        f"{part}.{name}": tensor
        for part in ("Averages", "ema")
        for name, tensor in load_file(folder / LAST / "states" / f"{part}.safetensors").items()
    }


def assert_follows(folder: Path, other: Path) -> None:
    """The loss of every step within the rounding of sums taken in another order, and the same averages at the end."""
    torch.testing.assert_close(torch.tensor(losses(folder)), torch.tensor(losses(other)), atol=0, rtol=2e-6)
    assert len(losses(folder)) == 24
    assert averages(folder).keys() == averages(other).keys()
    for name, average in averages(other).items():
        torch.testing.assert_close(averages(folder)[name], average, atol=5e-4, rtol=0)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("alone")
    small_trainer(folder, Averages(), **CALM).train()
    return folder


@pytest.mark.parametrize("sharded", [False, True], ids=["ddp", "fsdp2"])
def test_two_processes_follow_one_and_resume_as_any_number(tmp_path: Path, alone: Path, sharded: bool):
    processes = started_group(2, tmp_path, sharded=sharded, seconds_per_step=0.3, **HALF)
    with ended(*processes):
        wait_for((tmp_path / "checkpoint-6").exists, processes[0])
        os.kill(processes[0].pid or 0, signal.SIGTERM)  # the other one hears of it from the first
    assert [process.exitcode for process in processes] == [RESUMABLE, RESUMABLE]
    saved = checkpoints_in(tmp_path)[-1].name
    assert saved != LAST

    killed: Any = small_trainer(tmp_path, Averages(), KillAt(20), **CALM)
    with pytest.raises(Killed):
        killed.train(resume_from_checkpoint=True)  # two, then one
    assert checkpoints_in(tmp_path)[-1].name == "checkpoint-18"
    finish_group(2, tmp_path, resume=True, sharded=sharded, **HALF)  # and two again
    assert_follows(tmp_path, alone)


def test_muon_of_shards_follows_that_of_whole_matrices_and_resumes(tmp_path: Path):
    settings = {
        **CALM,
        "optimization": {"optimizer": "muon", "ema": None},
        "learning_rate": 0.02,
        "lr_scheduler_type": "constant",
    }
    small_trainer(tmp_path / "one", **settings, max_steps=4).train()
    halves = {**settings, "per_device_train_batch_size": 2}
    finish_group(2, tmp_path / "two", sharded=True, **halves, max_steps=2)
    finish_group(2, tmp_path / "two", sharded=True, **halves, max_steps=4, resume=True)
    found, expected = (load_file(tmp_path / folder / "checkpoint-4" / "model.safetensors") for folder in ("two", "one"))
    for name, tensor in expected.items():  # which four steps move by 1e-2, each made orthogonal in bfloat16
        torch.testing.assert_close(found[name], tensor, atol=1e-3, rtol=0)


def test_accumulated_batches_are_the_same_images_too(tmp_path: Path, alone: Path):
    settings = {**CALM, "per_device_train_batch_size": 2, "gradient_accumulation_steps": 2}
    small_trainer(tmp_path, Averages(), **settings).train()
    assert_follows(tmp_path, alone)


@pytest.mark.parametrize("images", [6, 7, 20])
@pytest.mark.parametrize("sharded", [False, True], ids=["ddp", "fsdp2"])
def test_two_processes_find_the_loss_and_the_figures_of_one_however_few_images_there_are(
    tmp_path: Path, images: int, sharded: bool
):
    """Batches of four on each, of which the last are filled up with other images."""
    settings = {**HALF, "per_device_eval_batch_size": 4, "optimization": {}, "max_steps": 1, "save_strategy": "no"}
    finish_group(2, tmp_path / "two", evaluates=images, sharded=sharded, **settings)
    trainer = small_trainer(tmp_path / "one", **{**settings, "per_device_train_batch_size": 4})
    save_evaluation(trainer, images, tmp_path / "one")
    two, one = (json.loads((tmp_path / folder / "evaluation.json").read_text()) for folder in ("two", "one"))
    assert len(two.pop("logits")) == len(one.pop("logits")) == images
    assert two == pytest.approx(one, rel=1e-5)
    with torch.no_grad():
        data = small_images(images=images)
        batch = data.__getitems__(range(images))
        whole = trainer.model.eval()(**batch).loss.item()
    assert two["eval_loss"] == pytest.approx(whole, rel=1e-5)


def test_another_batch_of_a_step_is_refused_however_it_comes_about(tmp_path: Path):
    small_trainer(tmp_path, Averages(), **{**CALM, "num_train_epochs": 1}).train()
    processes = started_group(2, tmp_path, resume=True, **CALM)
    with ended(processes[0]):
        pass
    assert processes[0].exitcode == 1
