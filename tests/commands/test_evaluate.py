import json
from pathlib import Path

import pytest
from made_images import class_folders

from vit_hf.commands.evaluate import main
from vit_hf.runs.evaluate import evaluate
from vit_hf.runs.predict import predict


def test_evaluation_finds_the_figures_that_training_found(trained: Path, tmp_path: Path, capsys):
    assert main([str(trained), "--output", str(tmp_path / "evaluation")]) == 0
    assert "top 5 accuracy" in capsys.readouterr().out
    found = json.loads((tmp_path / "evaluation" / "metrics.json").read_text())
    expected = json.loads((trained / "metrics.json").read_text())
    assert found["classes"] == expected["classes"]
    for name in ("accuracy", "top_5_accuracy", "loss", "expected_calibration_error"):
        assert found[name] == pytest.approx(expected[name], rel=1e-4)
    assert (tmp_path / "evaluation" / "confusion_matrix.png").stat().st_size > 1000
    assert (tmp_path / "evaluation" / "predictions.png").stat().st_size > 1000


def test_labels_are_matched_by_name_whatever_their_order(trained: Path, tmp_path: Path):
    root = class_folders(tmp_path / "photos", {"7": 2, "3": 2})
    assert main([str(trained), "--data", str(root), "--split", "all", "--output", str(tmp_path / "out")]) == 0
    classes = json.loads((tmp_path / "out" / "metrics.json").read_text())["classes"]
    assert {name for name, row in classes.items() if row["images"]} == {"3", "7"}


def test_labels_that_the_model_does_not_know_are_named(trained: Path, tmp_path: Path, capsys):
    root = class_folders(tmp_path / "photos", {"7": 2, "cat": 2})
    assert main([str(trained), "--data", str(root)]) == 2
    assert "The model does not know the labels 'cat'; it knows '0', '1'" in capsys.readouterr().err


def damaged(trained: Path, folder: Path, weights: bytes) -> Path:
    for path in trained.iterdir():
        if path.suffix in (".json", ".py", ".yaml"):
            (folder / path.name).write_bytes(path.read_bytes())
    (folder / "model.safetensors").write_bytes(weights)
    return folder


@pytest.mark.parametrize("cut", ["truncated", "tampered", "empty"])
def test_damaged_weights_are_one_sentence(trained: Path, tmp_path: Path, capsys, cut: str):
    whole = (trained / "model.safetensors").read_bytes()
    weights = {"truncated": whole[:-100], "tampered": b"\xff" * 16 + whole[16:], "empty": b""}[cut]
    assert main([str(damaged(trained, tmp_path, weights))]) == 2
    error = capsys.readouterr().err
    assert "error: " in error
    assert "Traceback" not in error
    assert str(tmp_path) in error


def test_a_folder_that_is_no_model_is_one_sentence(tmp_path: Path, capsys):
    (tmp_path / "notes.txt").touch()
    assert main([str(tmp_path), "--data", "digits"]) == 2
    assert "has no config.json (in it: notes.txt)" in capsys.readouterr().err


def test_flipped_views_are_measured_and_predicted_alike(trained: Path, tmp_path: Path, capsys):
    assert main([str(trained), "--tta", "--output", str(tmp_path / "out")]) == 0
    record = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert record["views"] == "flip"
    assert record["loss"] != json.loads((trained / "metrics.json").read_text())["loss"]
    example = trained / "examples" / "0.png"
    both = evaluate(str(trained), tta="flip")
    row = next(row for row in range(len(both.images)) if both.images.labels[row] == 0)  # of which the example was made
    (found,) = predict(str(trained), [example], tta="flip").results
    best = found["predictions"][0]
    expected = both.logits[row].softmax(-1)[both.labels.index(best["label"])]
    assert best["probability"] == pytest.approx(float(expected), abs=2e-3)


def test_views_that_are_none_are_one_sentence(trained: Path, capsys):
    assert main([str(trained), "--tta", "rotate"]) == 2
    assert "error: --tta rotate is none of flip, crops" in capsys.readouterr().err
