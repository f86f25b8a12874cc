"""Recipes that read their train split while they train on it."""

import json
import os
import signal
from pathlib import Path
from typing import Any, cast

import datasets
import numpy as np
import pytest
import torch
from made_images import noise, png
from processes import finish_recipe
from safetensors.torch import load_file
from transformers import TrainerCallback

from vit_hf.commands.train import main
from vit_hf.data.batches.streaming import StreamedBatches
from vit_hf.runs.prepared_run import PreparedRun
from vit_hf.runs.results import FinishedRun
from vit_hf.runs.setup import prepare
from vit_hf.training.recipe.recipe import load_recipe
from vit_hf.training.trainer.resumable import ResumableTrainer

TINY = {"image_size": 8, "patch_size": 4, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
NAMES = ["zebra", "ant"]


@pytest.fixture(autouse=True)
def own_cache_and_no_fresh_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    said = {"label": "ant", "probability": 1.0}
    monkeypatch.setattr("vit_hf.runs.train.reload_without_package", lambda folder, images: [said] * len(images))
    datasets.disable_progress_bars()


def write(path: Path, first: int, labels: list[Any], *, names: list[str] | None = NAMES) -> None:
    """Noise of the seeds from `first` on; without names the types are lost, as in many tables."""
    files = [png(noise(first + place)) for place in range(len(labels))]
    typed = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=names)}) if names else None
    images = [{"bytes": file, "path": None} for file in files] if names else files
    datasets.Dataset.from_dict({"image": images, "label": labels}, features=typed).to_parquet(path)


def three_shards(folder: Path, labels: list[Any], *, tested: list[Any], **options: Any) -> Path:
    folder.mkdir()
    for shard in range(3):
        write(folder / f"train-{shard}.parquet", 100 * shard, labels, **options)
    write(folder / "test-0.parquet", 900, tested, **options)
    return folder


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return three_shards(tmp_path / "photos", [0, 1, 0, 1, 1], tested=[0, 1, 0])


def recipe_of(photos: Path, **data: Any) -> Path:
    """Four steps of two of the six batches in an epoch, with everything random."""
    training = {"max_steps": 4, "per_device_train_batch_size": 2, "save_steps": 2, "gradient_accumulation_steps": 2}
    training |= {"output_dir": str(photos.parent / "out"), "disable_tqdm": True, "use_cpu": True}
    augmentation = {"train": {"random_resized_crop": 0.5, "flip": 0.5}, "mix": {"mixup": 0.8}}
    sections = {
        "model": {**TINY, "intermediate_size": 32, "drop_path_rate": 0.2},
        "data": {"name": str(photos), "streaming": True, "validation_fraction": 0, **augmentation, **data},
        "training": training,
    }
    path = photos.parent / "recipe.yaml"
    path.write_text(json.dumps(sections))
    return path


def prepared(photos: Path, **data: Any) -> PreparedRun:
    return prepare(load_recipe(recipe_of(photos, **data)))


def stream_of(run: PreparedRun) -> StreamedBatches:
    assert run.stream is not None
    return run.stream


def records_of(run: PreparedRun) -> list[Any]:
    return list(cast(Any, stream_of(run).shards))


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_stream_that_is_stopped_and_resumed_ends_with_the_same_file(
    photos: Path, workers: str, monkeypatch: pytest.MonkeyPatch
):
    words = [str(recipe_of(photos)), "--training.dataloader_num_workers", workers]
    whole = photos.parent / "whole"
    assert main([*words, "--training.output_dir", str(whole)]) == 0
    card = (whole / "README.md").read_text()
    assert "| train | streamed |  |\n| test | 3 | `" in card

    class Interrupt(TrainerCallback):
        def on_step_begin(self, args, state, control, **kwargs):
            if state.global_step == 1:
                os.kill(os.getpid(), signal.SIGTERM)

    train = ResumableTrainer.train

    def train_interrupted(self, *args, **kwargs):
        self.add_callback(Interrupt())
        return train(self, *args, **kwargs)

    monkeypatch.setattr(FinishedRun, "report", lambda run: {})
    with monkeypatch.context() as patch:
        patch.setattr(ResumableTrainer, "train", train_interrupted)
        assert main(words) == 75
    assert main([*words, "--resume"]) == 0
    weights = [folder / "model.safetensors" for folder in (whole, photos.parent / "out")]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_two_processes_share_a_stream_and_resume_it_with_the_same_bits(photos: Path):
    recipe, whole, resumed = recipe_of(photos), photos.parent / "whole", photos.parent / "resumed"
    finish_recipe(2, recipe, "--training.output_dir", str(whole))
    processes = torch.load(whole / "checkpoint-2" / "processes.pt", weights_only=True)
    streams = [process["stream"] for process in processes]
    assert [stream["lanes"] for stream in streams] == [2, 2]
    epochs = [stream["positions"][0]["epoch"] for stream in streams]
    assert sorted(epochs) == [0, 1]  # in four batches one reads half of its two shards, the other its one shard twice
    finish_recipe(2, recipe, "--training.output_dir", str(resumed), resume=str(whole / "checkpoint-2"))
    weights = [load_file(folder / "model.safetensors") for folder in (whole, resumed)]
    assert all(torch.equal(tensor, weights[1][name]) for name, tensor in weights[0].items())


def test_pixels_and_labels_are_those_of_the_files_in_another_order_each_epoch(photos: Path):
    run = prepared(photos, train={}, mix=None)
    assert run.counts == {"train": None, "test": 3}
    assert "images: streamed to train, 3 to test; 2 classes: zebra, ant" in run.describe()
    batches = [batch for (_, batch), _ in zip(stream_of(run).read(0, None), range(12), strict=False)]
    pixels = np.concatenate([batch["pixel_values"].permute(0, 2, 3, 1).numpy() for batch in batches])
    labels = np.concatenate([batch["labels"].numpy() for batch in batches])
    known = {noise(100 * shard + place).tobytes(): [0, 1, 0, 1, 1][place] for shard in range(3) for place in range(5)}
    assert [known[image.tobytes()] for image in pixels] == labels.tolist()
    assert [image.tobytes() for image in pixels[:12]] != [image.tobytes() for image in pixels[12:]]


def test_what_is_drawn_depends_on_the_number_of_the_batch_alone(photos: Path):
    run = prepared(photos)
    images, records = stream_of(run).prepare, records_of(run)[:2]
    one, again, other = (images.finish(images(records, number)) for number in (7, 7, 8))
    for name in ("pixel_values", "labels"):
        assert one[name].equal(again[name])
        assert not one[name].equal(other[name])


def test_a_dry_run_draws_the_first_images_and_counts_no_epoch(photos: Path, capsys):
    assert main([str(recipe_of(photos)), "--dry-run"]) == 0
    assert "Steps: 4, of which an unknown number is an epoch" in capsys.readouterr().out
    assert (photos.parent / "out" / "dry_run.png").is_file()


def test_plain_labels_are_named_by_the_split_to_test_on_and_others_refused(tmp_path: Path):
    photos = three_shards(tmp_path / "photos", ["dog", "cat", "cow"], tested=["dog", "cat"], names=None)
    run = prepared(photos)
    assert run.data.label_names == ["cat", "dog"]
    images, records = stream_of(run).prepare, records_of(run)
    assert images(records[:2], 0)["labels"].tolist() == [1, 0]
    with pytest.raises(ValueError, match=r"an image of train labeled 'cow': its label 'cow' is none of the 2"):
        images(records, 0)


def test_a_label_that_only_a_worker_meets_is_one_sentence_too(tmp_path: Path, capsys):
    photos = three_shards(tmp_path / "photos", ["cow", "cow"], tested=["dog", "cat"], names=None)
    assert main([str(recipe_of(photos)), "--training.dataloader_num_workers", "1"]) == 2
    said = capsys.readouterr().err
    assert "an image of train labeled 'cow'" in said
    assert "Traceback" not in said


def test_an_image_that_cannot_be_read_fails_by_name_or_another_takes_its_place(photos: Path):
    runs = [prepared(photos, on_error=word) for word in ("fail", "skip")]
    fails, skips = (stream_of(run).prepare for run in runs)
    good = records_of(runs[0])[0]
    broken = {"image": {"bytes": b"no image", "path": "a/b.jpg"}, "label": 1}
    with pytest.raises(ValueError, match=r"train \(b.jpg\): it is not an image"):
        fails([good, broken], 0)
    assert skips([good, broken], 0)["labels"].tolist() == [good["label"]] * 2
    assert skips.skipped == 1
    with pytest.raises(ValueError, match="Not one of the 2 images"):
        skips([broken, broken], 0)


def test_a_data_set_of_the_hub_fetches_the_split_to_test_on_alone(photos: Path, monkeypatch: pytest.MonkeyPatch):
    load, asked = datasets.load_dataset, []

    def from_here(name: str, *words: Any, streaming: bool = False, **options: Any) -> Any:
        asked.append((name, streaming))
        files = {split: str(photos / f"{split}-*") for split in ("train", "test")}
        return load("parquet", data_files=files, streaming=streaming)

    recipe = load_recipe(recipe_of(photos, name="somebody/photos"))
    monkeypatch.setattr("datasets.load_dataset", from_here)
    run, again = prepare(recipe), prepare(recipe)
    assert asked == [("somebody/photos", True)] * 2
    assert run.data.label_names == NAMES
    assert run.batches["test"].labels.tolist() == [0, 1, 0]
    files = [cast(Any, each.data.split("test").items).cache_files for each in (run, again)]
    assert files[0] == files[1] != []


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--training.max_steps", "-1"], "data.streaming: nobody knows how many images a stream has"),
        (
            ["--data.cache", "true"],
            "as it comes and keeps none, which cache=True needs",
        ),
        (["--data.keep_in_memory", "true"], "keep_in_memory=True needs; leave one of the two out"),
        (["--data.repeats", "3"], "repeats=3 needs"),
        (["--model.task", "masked_image_modeling"], "data.streaming is for classifiers"),
        (["--data.name", "digits"], "--data.streaming True is for parquet files and Hub data sets"),
        (["--data.train_split", "trian"], "--data.train_split: There is no split 'trian'; did you mean 'train'"),
        (["--data.label_column", "lable"], "did you mean 'label'"),
        (["--training.dataloader_num_workers", "4"], "need 4 shards, and the data set has 3"),
    ],
)
def test_what_does_not_go_with_a_stream_is_refused_in_a_sentence(photos: Path, words: list[str], sentence: str, capsys):
    assert main([str(recipe_of(photos)), *words]) == 2
    assert sentence in capsys.readouterr().err


def test_a_stream_without_a_split_to_test_on_or_to_train_on_says_what_is_missing(photos: Path, capsys):
    (photos / "test-0.parquet").rename(photos / "other.txt")
    assert main([str(recipe_of(photos))]) == 2
    assert "has no split to test on, and none can be held out of a stream" in capsys.readouterr().err
    for file in photos.glob("train-*"):
        file.rename(file.with_name(file.name.replace("train", "test")))
    assert main([str(recipe_of(photos))]) == 2
    assert "has no split called train, but test; name one with --data.train_split" in capsys.readouterr().err
