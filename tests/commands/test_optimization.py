"""Runs of a few steps with everything that `optimization:` can say, in this process."""

import json
from pathlib import Path

import pytest
import torch
from commands.conftest import digits_recipe
from made_images import class_folders
from PIL import Image
from safetensors.torch import load_file

from vit_hf import VisionTransformerForImageClassification
from vit_hf.commands.train import main
from vit_hf.runs.setup import prepare
from vit_hf.runs.train import train_prepared
from vit_hf.training.recipe.recipe import find_recipe, load_recipe
from vit_hf.training.recipe.yaml_files import read_yaml

SMALL = {
    "data.validation_fraction": 0.15,
    "optimization.ema": "null",
    "optimization.label_smoothing": 0,
    "model.num_hidden_layers": 2,
    "model.hidden_size": 16,
    "model.intermediate_size": 32,
    "training.max_steps": 4,
    "training.per_device_train_batch_size": 4,
    "training.eval_strategy": "steps",
    "training.eval_steps": 2,
    "training.logging_strategy": "steps",
    "training.logging_steps": 2,
    "training.use_cpu": "true",
}


def words(**fields: object) -> list[str]:
    return [f"--{name}={value}" for name, value in {**SMALL, **fields}.items()]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return class_folders(tmp_path / "photos", {"cat": 12, "dog": 8})


def run(tmp_path: Path, photos: Path, **fields: object):
    """A finished run on small photos, saved but not loaded again in another process."""
    places = {"data.name": photos, "data.train": "{}", "training.output_dir": tmp_path / "out"}
    finished = train_prepared(prepare(load_recipe(digits_recipe(), words(**{**places, **fields}))))
    finished.save()
    return finished


def test_a_run_with_everything_on_leaves_an_ordinary_model(tmp_path: Path, photos: Path, capsys):
    run(tmp_path, photos, **{"training.output_dir": tmp_path / "teacher"})
    taught = run(
        tmp_path,
        photos,
        **{
            "optimization.batch_size": 8,
            "optimization.scale_learning_rate_from": 64,
            "optimization.layer_decay": 0.8,
            "optimization.loss": "bce",
            "optimization.label_smoothing": 0.1,
            "optimization.ema": "{decay: 0.9}",
            "optimization.distillation": f"{{teacher: {tmp_path / 'teacher'}, temperature: 2.0}}",
            "optimization.lora": "{rank: 2, dropout: 0.1}",
            "optimization.head_only_steps": 1,
        },
    )
    printed = capsys.readouterr().out
    assert "Batch: 8 images a step (1 x 4 x 2 accumulated)" in printed
    assert "Learning rate: 0.00025, scaled from 0.002 for a batch of 64 to this one of 8" in printed
    out = tmp_path / "out"
    names = set(load_file(out / "model.safetensors"))
    assert names == set(load_file(tmp_path / "teacher" / "model.safetensors"))
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["speed"]["images_per_second"] > 0
    logged = {name for entry in metrics["history"] for name in entry}
    assert logged >= {"eval_accuracy", "eval_ema_accuracy", "mfu", "images_per_second", "peak_memory_gib"}
    with Image.open(out / "training_curve.png") as curve:
        assert curve.width > curve.height
    loaded = VisionTransformerForImageClassification.from_pretrained(out)
    images = torch.randn(2, 3, 8, 8)
    model = taught.model.eval().cpu()
    assert torch.equal(loaded.eval()(images).logits, model(images).logits)  # pyright: ignore[reportAttributeAccessIssue]


def test_a_recipe_that_everything_was_said_to_trains_again_from_its_saved_form(tmp_path: Path, photos: Path):
    run(tmp_path, photos, **{"optimization.ema": "{}", "optimization.loss": "bce"})
    saved = read_yaml(tmp_path / "out" / "recipe.yaml")["optimization"]
    assert saved["ema"] == {"decay": 0.9999, "warm_up": True, "final": True}
    places = ["--training.output_dir", str(tmp_path / "again"), "--data.name", str(photos)]  # which it does not tell
    again = load_recipe(tmp_path / "out" / "recipe.yaml", places)
    finished = train_prepared(prepare(again))
    weights = load_file(tmp_path / "out" / "model.safetensors")
    for name, tensor in finished.model.state_dict().items():
        assert torch.equal(weights[name], tensor.cpu())


@pytest.mark.parametrize("task", ["classification", "masked_image_modeling"])
def test_a_dry_run_says_everything_draws_a_picture_and_leaves_nothing_else(
    tmp_path: Path, photos: Path, capsys, task: str
):
    before = set(tmp_path.rglob("*"))
    given = words(**{"data.name": photos, "training.output_dir": tmp_path / "made" / "out", "model.task": task})
    assert main([digits_recipe(), "--dry-run", *given, "--optimization.ema", "{}"]) == 0
    printed = capsys.readouterr().out
    for part in (
        "12 to train, 4 to validation, 4 to test",
        "Batch: 4 images a step",
        "Steps: 4, of which 3 are an epoch",
        "GFLOP",
        "GiB in float32",
    ):
        assert part in printed
    lines = [line.split() for line in printed.splitlines()]
    assert sum(int(line[1]) for line in lines if line[:1] in (["cat"], ["dog"])) == 12
    made = set(tmp_path.rglob("*")) - before
    folder = tmp_path / "made" / "out"
    assert made == {tmp_path / "made", folder, folder / "dry_run.png"}
    with Image.open(folder / "dry_run.png") as picture:
        assert picture.width > 1000
        assert len(picture.convert("L").getcolors(1 << 16) or []) > 20


def test_pretraining_leaves_a_model_that_paints_and_its_card(tmp_path: Path, photos: Path, capsys):
    out = tmp_path / "pretrained"
    given = words(**{"data.name": photos, "training.output_dir": out, "model.task": "masked_image_modeling"})
    assert main([digits_recipe(), *given, "--optimization.masking", "{ratio: 0.5, patch_size: 4}"]) == 0
    assert "mean absolute error of the hidden pixels" in capsys.readouterr().out
    names = {path.name for path in out.iterdir()}
    assert names >= {"config.json", "model.safetensors", "preprocessor_config.json", "recipe.yaml", "metrics.json"}
    assert names >= {"README.md", "reconstructions.png", "training_curve.png", "modeling_vit.py"}
    assert not [name for name in names if name.endswith(".bin")]
    metrics = json.loads((out / "metrics.json").read_text())
    assert 0 < metrics["loss"] < 10
    assert f"{metrics['loss']:.4f}" in (out / "README.md").read_text()
    assert read_yaml(out / "recipe.yaml")["optimization"]["masking"] == {"ratio": 0.5, "patch_size": 4}

    sizes = ("model.num_hidden_layers", "model.hidden_size", "model.intermediate_size")
    follow = {name: value for name, value in SMALL.items() if name not in sizes} | {"model.from": out}
    recipe = tmp_path / "finetune.yaml"
    recipe.write_text(f"data: {{name: {photos}}}\ntraining: {{output_dir: {tmp_path / 'classifier'}}}\n")
    classifier = prepare(load_recipe(recipe, [f"--{name}={value}" for name, value in follow.items()])).model
    pretrained = load_file(out / "model.safetensors")
    begun = classifier.state_dict()
    taken = [name for name in begun if not name.startswith("classifier.")]
    assert all(torch.equal(begun[name], pretrained[name]) for name in taken)
    assert set(pretrained) - set(taken) == {"vit.embeddings.mask_token", "decoder.weight", "decoder.bias"}


def test_a_batch_that_cannot_be_and_a_teacher_of_other_things_are_sentences(tmp_path: Path, photos: Path, capsys):
    given = words(**{"data.name": photos, "training.output_dir": tmp_path / "out"})
    assert main([digits_recipe(), *given, "--optimization.batch_size", "6"]) == 2
    assert "batch_size=6 does not divide into 1 x 4 images" in capsys.readouterr().err
    assert main([digits_recipe(), *given, "--optimization.distillation", "{teacher: nowhere}"]) == 2
    assert "There is no file or folder nowhere" in capsys.readouterr().err
    assert find_recipe("digits").name == "digits.yaml"
