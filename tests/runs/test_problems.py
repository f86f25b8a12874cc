"""Several labels of an image, numbers, and unbalanced classes: from data to report and back, in seconds."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from vit_hf.commands.evaluate import main as evaluate_command
from vit_hf.data.sources.tables import ImageData, ImageTable
from vit_hf.errors import UserError
from vit_hf.runs import evaluate, recognize, setup
from vit_hf.runs.dry_run import show_plan
from vit_hf.runs.predict import predict
from vit_hf.runs.setup import prepare
from vit_hf.runs.train import reload_as_stranger, train_prepared
from vit_hf.training.recipe.recipe import Recipe

IMAGES = {"train": 60, "validation": 30, "test": 40}


def pictures(seed: int, images: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (images, 8, 8, 3), dtype=np.uint8)


def table_of(pixels: np.ndarray, labels: np.ndarray) -> ImageTable:
    return ImageTable.of(
        list(pixels),
        labels,
        source=lambda item, name: Image.fromarray(item),
        name=lambda item, row: f"photos/{row}.png",
    )


def brightness(pixels: np.ndarray) -> np.ndarray:
    """Of the upper and the lower half of each image, around 0."""
    return (pixels.reshape(len(pixels), 2, -1).mean(2) - 127.5) / 10


def labels_of(pixels: np.ndarray, kind: str) -> np.ndarray:
    bright = brightness(pixels)
    if kind == "multi_label_classification":
        return (bright > [0, 0.5]).astype(np.float32)
    if kind == "regression":
        return bright.astype(np.float32)
    return (np.arange(len(pixels)) % 20 == 0).astype(np.int64)  # every twentieth


def made(kind: Any) -> ImageData:
    splits = {}
    for seed, (split, images) in enumerate(IMAGES.items()):
        pixels = pictures(seed, images)
        splits[split] = table_of(pixels, labels_of(pixels, kind))
    return ImageData(splits, ["upper", "lower"], problem_type=kind)


def recipe(folder: Path, **sections: Any) -> Recipe:
    training = {"output_dir": str(folder), "num_train_epochs": 2, "per_device_train_batch_size": 20, "use_cpu": True}
    return Recipe(
        model={"image_size": 8, "patch_size": 4, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}  # pyright: ignore[reportArgumentType]
        | {"intermediate_size": 32}
        | sections.get("model", {}),
        data={"name": "made", **sections.get("data", {})},  # pyright: ignore[reportArgumentType]
        optimization=sections.get("optimization", {}),
        training={**training, "disable_tqdm": True, "save_strategy": "no", **sections.get("training", {})},
    )


@pytest.fixture
def data(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ImageData:
    found = made(request.param)
    monkeypatch.setattr(setup, "open_data", lambda settings, modality: found)
    monkeypatch.setattr(recognize, "open_source", lambda settings, modality: found)
    return found


def of(kind: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("data", [kind], indirect=True)


@of("multi_label_classification")
def test_several_labels_are_learned_measured_drawn_and_evaluated_again(data: ImageData, tmp_path: Path, capsys):
    given = recipe(
        tmp_path / "run",
        data={"mix": {"mixup": 0.8}, "sampling": "balanced"},
        optimization={"loss": "focal", "label_smoothing": 0.1},
        training={"load_best_model_at_end": True},
    )
    run = train_prepared(prepare(given))
    examples = run.save()
    found = reload_as_stranger(run.folder, examples)
    assert [example.label for example in found] == ["upper", "lower"]
    assert all(example.predicted in ("upper", "lower") and 0 < (example.probability or 0) < 1 for example in found)
    assert run.trainer.args.metric_for_best_model == "eval_macro_f1"
    assert run.summary().startswith("macro F1 0.")
    record = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert record["headline"] == "macro_f1"
    assert record["intervals"]["macro_f1"][0] <= record["macro_f1"] <= record["intervals"]["macro_f1"][1]
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["problem_type"] == "multi_label_classification"
    assert config["thresholds"] == [row["threshold"] for row in record["classes"].values()]
    assert (tmp_path / "run" / "label_scores.png").stat().st_size > 1000
    assert not (tmp_path / "run" / "confusion_matrix.png").exists()
    assert evaluate_command([str(tmp_path / "run"), "--output", str(tmp_path / "again.json")]) == 0
    again = json.loads((tmp_path / "again.json").read_text())
    assert again["classes"] == {
        name: pytest.approx(row, rel=1e-4, nan_ok=True) for name, row in record["classes"].items()
    }
    assert again["exact_match"] == pytest.approx(record["exact_match"])
    assert "average precision" in capsys.readouterr().out


@of("multi_label_classification")
def test_thresholds_are_those_of_validation_and_not_of_the_test_split(data: ImageData, tmp_path: Path):
    data.splits["validation"].labels[:, 1] = 0  # so that it has no best threshold
    run = train_prepared(prepare(recipe(tmp_path)))
    assert run.thresholds is not None
    assert run.thresholds[1] == 0.5
    assert run.model.config.thresholds == run.thresholds


@of("regression")
def test_numbers_are_learned_measured_drawn_and_evaluated_again(data: ImageData, tmp_path: Path):
    given = recipe(tmp_path / "run", optimization={"loss": "huber", "early_stopping": {"patience": 3}})
    run = train_prepared(prepare(given))
    (first, *_) = reload_as_stranger(run.folder, run.save())
    assert first.label == ", ".join(
        f"{name} {number:.4g}" for name, number in zip(["upper", "lower"], data.splits["test"].labels[0], strict=True)
    )
    assert first.predicted.startswith("upper ")
    assert first.probability is None
    assert run.trainer.args.metric_for_best_model == "eval_mae"
    assert run.trainer.args.greater_is_better is False
    assert run.summary().startswith("mean absolute error ")
    record = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert record["mae"] == pytest.approx(np.abs(run.logits.numpy() - data.splits["test"].labels).mean(), rel=1e-5)
    assert record["intervals"]["mae"][0] < record["mae"] < record["intervals"]["mae"][1]
    assert (tmp_path / "run" / "predicted_and_true.png").stat().st_size > 1000
    assert "It is off by **" in (tmp_path / "run" / "README.md").read_text()
    again = evaluate.evaluate(str(tmp_path / "run")).metrics
    assert again["mae"] == pytest.approx(record["mae"], rel=1e-4)


@of("single_label_classification")
def test_a_run_on_unbalanced_classes_goes_by_the_balanced_accuracy_and_says_so(data: ImageData, tmp_path: Path, capsys):
    run = train_prepared(prepare(recipe(tmp_path, training={"load_best_model_at_end": True, "num_train_epochs": 4})))
    said = capsys.readouterr().out
    assert "Unbalanced: lower (3) has less than a fifth of the 30 training images" in said
    assert "The model ends with the weights of the largest eval_balanced_accuracy" in said
    run.logits = torch.tensor([[1.0, 0.0]]).expand(40, 2)  # never the rare one
    assert run.summary().startswith("balanced accuracy 50.00%, macro F1 0.4872, accuracy 95.00%")
    run.save()
    card = (tmp_path / "README.md").read_text()
    assert "Its balanced accuracy, the mean over the classes, is **50.00%**" in card
    assert "Top-" not in card
    best = [row["eval_balanced_accuracy"] for row in run.trainer.state.log_history if "eval_balanced_accuracy" in row]
    assert run.trainer.state.best_metric == max(best)


@pytest.mark.parametrize(
    ("data", "sections", "says"),
    [
        (
            "single_label_classification",
            {"model": {"problem_type": "regression"}},
            "model.problem_type: regression, but",
        ),
        ("regression", {"data": {"sampling": "balanced"}}, "the data has numbers"),
        ("regression", {"optimization": {"loss": "bce"}}, "bce is not for numbers, which the data has"),
        ("multi_label_classification", {"optimization": {"class_weights": {"uper": 2.0}}}, "did you mean 'upper'"),
        (
            "single_label_classification",
            {"training": {"metric_for_best_model": "f1"}},
            "there are accuracy, balanced_accuracy, macro_f1, mcc, auroc, average_precision, loss",
        ),
    ],
    indirect=["data"],
)
def test_what_the_data_is_not_for_is_said_before_any_image_is_read(
    data: ImageData, tmp_path: Path, sections: dict[str, Any], says: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(setup, "load_batches", lambda *args, **how: pytest.fail("images were read"))
    with pytest.raises(UserError, match=says):
        prepare(recipe(tmp_path, **sections))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ("multi_label_classification", "2 labels, several for each: upper, lower"),
        ("regression", "2 numbers for each: upper, lower"),
    ],
    indirect=["data"],
)
def test_a_dry_run_shows_what_would_be_learned(data: ImageData, tmp_path: Path, says: str, capsys):
    assert show_plan(prepare(recipe(tmp_path / "run"))) == 0
    out = capsys.readouterr().out
    assert says in out
    assert (tmp_path / "run" / "dry_run.png").is_file()
    expected = {
        "multi_label_classification": f"{int(data.splits['train'].labels[:, 0].sum())}",
        "regression": "±",
    }
    assert expected[data.problem_type] in out


@of("multi_label_classification")
def test_of_several_labels_those_that_reach_their_thresholds_are_predicted(data: ImageData, tmp_path: Path):
    run = train_prepared(prepare(recipe(tmp_path / "run")))
    examples = [tmp_path / f"{row}.png" for row in range(12)]
    for path, pixels in zip(examples, pictures(2, 12), strict=True):
        Image.fromarray(pixels).save(path)
    run.save()
    found = predict(str(run.folder), examples)
    thresholds = torch.tensor(run.model.config.thresholds)
    expected = run.logits[:12].sigmoid() >= thresholds
    for row, result in zip(expected.tolist(), found.results, strict=True):
        names = [name for name, has in zip(["upper", "lower"], row, strict=True) if has]
        assert sorted(one["label"] for one in result["predictions"]) == sorted(names)


@of("regression")
def test_of_numbers_each_is_predicted(data: ImageData, tmp_path: Path):
    run = train_prepared(prepare(recipe(tmp_path / "run")))
    run.save()
    Image.fromarray(pictures(2, 1)[0]).save(tmp_path / "0.png")
    (result,) = predict(str(run.folder), [tmp_path / "0.png"]).results
    assert [one["label"] for one in result["predictions"]] == ["upper", "lower"]
    assert [one["value"] for one in result["predictions"]] == pytest.approx(run.logits[0].tolist(), abs=1e-4)
