"""Numbers of any size and offset are learned as well, and said in their own units wherever the model goes."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoModelForImageClassification
from transformers.trainer_utils import get_last_checkpoint

from vit_hf.conversion import to_transformers
from vit_hf.data.sources.tables import ImageData, ImageTable
from vit_hf.errors import UserError
from vit_hf.runs import evaluate, recognize, setup
from vit_hf.runs.prepared_run import PreparedRun
from vit_hf.runs.results import FinishedRun
from vit_hf.runs.setup import prepare
from vit_hf.runs.train import reload_as_stranger, train_prepared
from vit_hf.training.recipe.recipe import Recipe

IMAGES = {"train": 96, "validation": 24, "test": 40}
SIZES = {"image_size": 8, "patch_size": 4, "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}


def photos(seed: int, images: int) -> np.ndarray:
    """Each of a brightness of its own, and noise."""
    numbers = np.random.default_rng(seed)
    brightness = numbers.uniform(60, 200, (images, 1, 1, 1))
    return (brightness + numbers.uniform(-50, 50, (images, 8, 8, 3))).astype(np.uint8)


def table_of(pixels: np.ndarray, labels: np.ndarray) -> ImageTable:
    return ImageTable.of(
        list(pixels),
        labels.astype(np.float32),
        source=lambda item, name: Image.fromarray(item),
        name=lambda item, row: f"photos/{row}.png",
    )


def brightness_data(scale: float, offset: float, *, constant: bool = False) -> ImageData:
    """The mean of an image, around 0 with a spread of about 0.4, in units of `scale` from `offset`; and its green."""
    splits = {}
    for seed, (split, images) in enumerate(IMAGES.items()):
        pixels = photos(seed, images)
        light = (pixels.mean((1, 2, 3)) - 130) / 100
        green = np.full(images, 3.0) if constant else (pixels[..., 1].mean((1, 2)) - 130) / 100
        splits[split] = table_of(pixels, np.stack([light, green], 1) * scale + offset)
    return ImageData(splits, ["light", "green"], problem_type="regression")


def recipe(folder: Path, **sections: Any) -> Recipe:
    training = {
        "output_dir": str(folder),
        "max_steps": 60,
        "per_device_train_batch_size": 24,
        "learning_rate": 3e-3,
        "lr_scheduler_type": "cosine",
        "use_cpu": True,
        "disable_tqdm": True,
        "save_strategy": "no",
        "seed": 3,
    }
    return Recipe(
        model=sections.get("model", {**SIZES, "intermediate_size": 64, "pooling": "mean"}),
        data={"name": "made", **sections.get("data", {})},  # pyright: ignore[reportArgumentType]
        optimization=sections.get("optimization", {}),
        training={**training, **sections.get("training", {})},
    )


def prepared(given: Recipe, data: ImageData) -> PreparedRun:
    return prepare(given, data=data)


def trained(folder: Path, images: ImageData, **sections: Any) -> FinishedRun:
    return train_prepared(prepared(recipe(folder, **sections), images))


WAYS: dict[str, dict[str, Any]] = {
    "mse": {},
    "l1": {"optimization": {"loss": "l1"}},
    "huber": {"optimization": {"loss": "huber", "layer_decay": 0.7}},
    "ema and mixup": {"optimization": {"ema": {"decay": 0.9}}, "data": {"mix": {"mixup": 0.4}}},
    "frozen": {"optimization": {"freeze": "trunk"}},
    "lora": {"optimization": {"lora": {"rank": 2}}},
}


@pytest.mark.parametrize(("scale", "offset"), [(1e4, 5e4), (1e-6, 2e-6)])
@pytest.mark.parametrize("way", WAYS)
def test_a_training_on_other_units_gives_the_same_model_in_these(way: str, scale: float, offset: float, tmp_path: Path):
    few = {**WAYS[way], "training": {"max_steps": 12}}
    plain = trained(tmp_path / "plain", brightness_data(1, 0), **few)
    moved = trained(tmp_path / "moved", brightness_data(scale, offset), **few)
    assert plain.logits.std() > 0.01
    torch.testing.assert_close((moved.logits - offset) / scale, plain.logits, rtol=1e-3, atol=1e-4)
    assert moved.metrics["mae"] == pytest.approx(scale * plain.metrics["mae"], rel=1e-3)
    assert moved.metrics["r2"] == pytest.approx(plain.metrics["r2"], abs=1e-3)
    assert moved.intervals["r2"] == pytest.approx(plain.intervals["r2"], abs=1e-2)
    losses = [[row["loss"] for row in run.trainer.state.log_history if "loss" in row] for run in (plain, moved)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


PIPELINE = """
import json, sys
sys.modules["vit_hf"] = None  # as if it were not installed
from transformers import pipeline
classify = pipeline("image-classification", sys.argv[1], trust_remote_code=True, function_to_apply="none")
print(json.dumps({one["label"]: one["score"] for one in classify(sys.argv[2])}))
"""


def test_prices_are_learned_in_a_few_dozen_steps_and_said_as_prices_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    data = brightness_data(1e4, 3e4)
    monkeypatch.setattr(recognize, "open_source", lambda settings, modality: data)
    run = trained(tmp_path / "run", data, training={"save_strategy": "steps", "save_steps": 60})
    assert run.metrics["r2"] > 0.9
    assert run.metrics["mae"] < 2000
    examples = run.save()
    again = evaluate.evaluate(str(run.folder)).metrics
    assert again["mae"] == pytest.approx(run.metrics["mae"], rel=1e-4)
    first = next(iter(examples.values()))
    said = dict(zip(["light", "green"], run.logits[0].tolist(), strict=True))
    (stranger, *_) = reload_as_stranger(run.folder, examples)
    assert stranger.predicted == ", ".join(f"{name} {value:.4g}" for name, value in said.items())
    found = subprocess.run(
        [sys.executable, "-I", "-c", PIPELINE, str(run.folder), str(first)], capture_output=True, text=True, check=True
    )
    assert json.loads(found.stdout) == pytest.approx(said, rel=1e-4)
    checkpoint = AutoModelForImageClassification.from_pretrained(str(get_last_checkpoint(str(run.folder))))
    pixels = run.tested.__getitems__([0])["pixel_values"]
    with torch.inference_mode():
        assert checkpoint.eval()(pixels).logits[0].tolist() == pytest.approx([*said.values()], rel=1e-4)
    mean = data.splits["train"].labels.astype(np.float64).mean(0)
    assert run.model.config.target_mean == pytest.approx(mean.tolist())
    assert "they are learned in standard deviations" in (run.folder / "README.md").read_text()


def test_transformers_own_model_says_the_same_prices_and_is_trained_further_from_there(tmp_path: Path):
    run = trained(tmp_path / "run", brightness_data(1e4, 3e4))
    to_transformers(run.model).save_pretrained(tmp_path / "stock")
    pixels = run.tested.__getitems__(range(8))["pixel_values"]
    with torch.inference_mode():
        expected = run.model.eval()(pixels).logits
        stock = AutoModelForImageClassification.from_pretrained(tmp_path / "stock")
        torch.testing.assert_close(stock(pixels).logits, expected, rtol=1e-4, atol=1)
    run.save()
    for source in ("stock", "run"):
        sections = {"model": {"from": str(tmp_path / source)}, "training": {"max_steps": 1, "learning_rate": 1e-9}}
        further = trained(tmp_path / f"further_{source}", brightness_data(1e4, 2e4), **sections)
        torch.testing.assert_close(further.logits, run.logits, rtol=1e-4, atol=5)


def test_a_resumed_training_ends_with_the_same_bits(tmp_path: Path):
    data, steps = brightness_data(1e4, 3e4), {"max_steps": 6, "save_strategy": "steps", "save_steps": 3}
    whole = trained(tmp_path / "whole", data, training=steps)
    again = train_prepared(
        prepared(recipe(tmp_path / "again", training=steps), data), str(tmp_path / "whole" / "checkpoint-3")
    )
    assert torch.equal(again.logits, whole.logits)


def test_a_number_that_never_changes_is_refused_by_name_before_any_image_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(setup, "load_batches", lambda *args, **how: pytest.fail("images were read"))
    with pytest.raises(UserError, match="'green' is 0.3 in every training image.*leave it out"):
        prepared(recipe(tmp_path), brightness_data(0.1, 0, constant=True))


def test_the_units_are_those_of_the_train_split_alone(tmp_path: Path):
    data = brightness_data(1, 0)
    data.splits["test"].labels[:] += 1e6
    run = prepared(recipe(tmp_path), data)
    assert run.problem is not None
    assert run.problem.target_std == pytest.approx(data.splits["train"].labels.std(0).tolist(), rel=1e-4)
    run.trainer()
    assert run.model.config.target_mean == run.problem.target_mean
