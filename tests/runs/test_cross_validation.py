import json
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import pytest
import torch
from made_images import class_folders

import vit_hf
from vit_hf.data.sources.splits import folds_of
from vit_hf.runs.cross_validation import CrossValidation

SIZES = {"image_size": 8, "patch_size": 4, "hidden_size": 16, "num_hidden_layers": 1, "intermediate_size": 32}


def test_mean_and_spread_are_those_of_the_folds():
    folds = [{"accuracy": 0.5, "images": 4, "mcc": None}, {"accuracy": 0.7, "images": 5, "mcc": 0.1}]
    crossed = CrossValidation(folds, {}, "accuracy")
    assert crossed.record() == {
        "accuracy": {
            "mean": pytest.approx(0.6),
            "standard_deviation": pytest.approx(0.1 * 2**0.5),
            "folds": [0.5, 0.7],
        }
    }
    assert "accuracy 60.00% in the mean, with a standard deviation of 14.14%" in crossed.describe()


def test_every_fold_is_tested_by_a_model_that_did_not_see_it(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    class_folders(tmp_path / "photos", {"cat": 20, "dog": 20})
    words: dict[str, Any] = {"max_steps": 2, "per_device_train_batch_size": 4, "use_cpu": True, "folds": 3, **SIZES}
    run = vit_hf.train("photos", **words)
    expected = [fold.splits["test"] for fold in folds_of(run.data, run.recipe.data)]
    assert run.crossed is not None
    assert [len(one.table) for one in run.crossed.judged.values()] == [len(table) for table in expected]
    record = json.loads((run.folder / "metrics.json").read_text())["cross_validation"]["accuracy"]
    accuracies = [
        float((one.logits.argmax(-1) == torch.from_numpy(one.table.labels)).float().mean())
        for one in run.crossed.judged.values()
    ]
    assert record["folds"] == pytest.approx(accuracies)
    assert (record["mean"], record["standard_deviation"]) == pytest.approx((mean(accuracies), stdev(accuracies)))
    assert "Cross-validation: 3 models more" in (run.folder / "README.md").read_text()
    for number, table in enumerate(expected, start=1):
        lines = (run.folder / "folds" / str(number) / "split.jsonl").read_text().splitlines()[1:]
        tested = {entry["name"] for line in lines if (entry := json.loads(line))["part"] == "test"}
        assert tested == {"/".join(table.name_of(row).split("/")[-2:]) for row in range(len(table))}
