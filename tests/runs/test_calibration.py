"""What validation teaches a finished run about how sure it may be, and that every door then says the same."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from commands.conftest import digits_recipe
from made_images import noise, shade
from transformers import pipeline

from vit_hf.runs.evaluate import evaluate
from vit_hf.runs.predict import predict
from vit_hf.runs.setup import prepare
from vit_hf.runs.train import train_prepared
from vit_hf.training.calibration import fit_temperature
from vit_hf.training.metrics.single_label import calibration_error
from vit_hf.training.recipe.recipe import load_recipe

# Noise is learned by heart within these steps, so that the model is surer than it can be.
WORDS = {
    "model.num_hidden_layers": 2,
    "model.hidden_size": 32,
    "model.num_attention_heads": 2,
    "model.intermediate_size": 64,
    "training.max_steps": 150,
    "training.per_device_train_batch_size": 16,
    "training.use_cpu": "true",
    "training.eval_strategy": "no",
    "data.train": "{}",
}


def run(folder: Path, photos: Path, **more: object):
    fields = {**WORDS, "data.name": photos, "training.output_dir": folder, **more}
    words = [f"--{name}={value}" for name, value in fields.items()]
    return train_prepared(prepare(load_recipe(digits_recipe(), words)))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root, seed = tmp_path_factory.mktemp("photos"), 0
    for split, count in {"train": 24, "validation": 30, "test": 20}.items():
        for label in ("ant", "bee"):
            (root / split / label).mkdir(parents=True)
            for number in range(count):
                dark = (label == "ant") == (number % 4 > 0)  # which a quarter of the labels contradicts
                picture = shade(noise(seed := seed + 1), dark=dark)
                picture.save(root / split / label / f"{number}.png")
    return root


@pytest.fixture(scope="module")
def finished(photos: Path, tmp_path_factory: pytest.TempPathFactory):
    found = run(tmp_path_factory.mktemp("run") / "out", photos)
    found.save()
    return found


def test_validation_takes_away_what_the_model_is_too_sure_of(finished):
    calibration = finished.calibration
    assert calibration.temperature == finished.model.config.temperature > 1.5
    assert calibration.after < calibration.before
    labels = finished.batches["validation"].labels
    error = float(calibration_error(finished.validation_logits.softmax(-1), labels))
    assert error == pytest.approx(calibration.after, abs=1e-5)
    again = fit_temperature(finished.validation_logits * calibration.temperature, labels)
    assert again.temperature == pytest.approx(calibration.temperature, rel=1e-3)


def test_figures_and_card_say_what_was_done(finished):
    record = json.loads((finished.folder / "metrics.json").read_text())["calibration"]
    assert record["split"] == "validation"
    assert record["images"] == 60
    assert record["temperature"] == json.loads((finished.folder / "config.json").read_text())["temperature"]
    card = (finished.folder / "README.md").read_text()
    assert f"a temperature of {record['temperature']:g}, which the 60 of the validation split chose" in card
    assert f"{record['before']:.4f} before and {record['after']:.4f} after" in card


def test_training_evaluation_prediction_and_pipeline_say_one_probability(finished, photos: Path):
    measured = evaluate(str(finished.folder))
    torch.testing.assert_close(measured.logits, finished.logits, rtol=1e-4, atol=1e-5)
    assert measured.metrics["loss"] == pytest.approx(finished.metrics["loss"], rel=1e-4)
    file = photos / "test" / "ant" / "0.png"
    (found,) = predict(str(finished.folder), [file]).results
    ours = {best["label"]: best["probability"] for best in found["predictions"]}
    model: Any = str(finished.folder)
    for best in pipeline("image-classification", model=model, device="cpu")(str(file)):
        assert best["score"] == pytest.approx(ours[best["label"]], abs=2e-6)
    index = [finished.tested.table.name_of(row) for row in range(len(finished.tested))].index(str(file))
    first = finished.model.config.id2label[0]
    assert finished.logits[index].softmax(-1)[0].item() == pytest.approx(ours[first], abs=1e-4)


def test_a_recipe_may_leave_it_out(photos: Path, tmp_path: Path):
    plain = run(tmp_path / "out", photos, **{"optimization.temperature_scaling": "false", "training.max_steps": 2})
    assert (plain.calibration, plain.model.config.temperature) == (None, 1)
    plain.save()
    assert "calibration" not in json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert "temperature" not in (tmp_path / "out" / "README.md").read_text().split("## How it was trained")[0]


def test_without_a_validation_split_the_temperature_stays(photos: Path, tmp_path: Path):
    plain = run(tmp_path / "out", photos / "train", **{"training.max_steps": 2, "data.validation_fraction": 0})
    assert (plain.calibration, plain.validation_logits, plain.model.config.temperature) == (None, None, 1)


def test_a_model_that_goes_on_from_a_calibrated_one_is_calibrated_anew(finished, photos: Path, tmp_path: Path, caplog):
    keep = {name: value for name, value in WORDS.items() if not name.startswith("model.")}
    recipe = tmp_path / "further.yaml"
    recipe.write_text(
        f"model: {{from: {finished.folder}}}\ndata: {{name: {photos}}}\n"
        f"training: {{output_dir: {tmp_path / 'further'}, save_strategy: 'no'}}\n"
    )
    fields = {**keep, "training.max_steps": 1, "training.learning_rate": 1e-9}
    further = train_prepared(prepare(load_recipe(recipe, [f"--{name}={value}" for name, value in fields.items()])))
    assert "the temperature starts from 1 again" in caplog.text
    # The weights hardly moved, so that the same images choose the same temperature.
    assert further.calibration is not None
    assert math.isclose(further.model.config.temperature, finished.model.config.temperature, rel_tol=1e-2)
