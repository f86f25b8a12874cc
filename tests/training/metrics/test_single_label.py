import json
from typing import Any

import numpy as np
import pytest
import torch
from same_figures import assert_same_figures
from sklearn import metrics as sklearn_metrics
from torch import Tensor

from vit_hf.training.metrics.measure import figures_of_split, measure, measure_intervals
from vit_hf.training.metrics.single_label import SingleLabelSample, calibration_error, confusion_matrix
from vit_hf.training.problem import figure_names, top_k_of


def measured(logits: Tensor, labels: Tensor, names: list[str] | None = None) -> dict[str, Any]:
    names = names or [f"class {index}" for index in range(logits.shape[1])]
    return measure(logits, labels, "single_label_classification", names)


def some(images: int = 200, classes: int = 7) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits, labels = torch.randn(images, classes, generator=generator), torch.randint(classes, (images,))
    logits[torch.arange(images), labels] += 1
    return logits, labels


def test_the_figures_agree_with_scikit_learn():
    logits, labels = some()
    found, said = measured(logits, labels), logits.argmax(-1)
    probabilities = logits.double().softmax(-1).numpy()
    one_hot = np.eye(7)[labels]
    assert found["accuracy"] == pytest.approx(sklearn_metrics.accuracy_score(labels, said))
    assert found["balanced_accuracy"] == pytest.approx(sklearn_metrics.balanced_accuracy_score(labels, said))
    assert found["macro_f1"] == pytest.approx(sklearn_metrics.f1_score(labels, said, average="macro"), abs=1e-6)
    assert found["mcc"] == pytest.approx(sklearn_metrics.matthews_corrcoef(labels, said), abs=1e-6)
    assert found["auroc"] == pytest.approx(
        sklearn_metrics.roc_auc_score(labels, probabilities, multi_class="ovr"), abs=1e-6
    )
    assert found["average_precision"] == pytest.approx(
        sklearn_metrics.average_precision_score(one_hot, probabilities), abs=1e-6
    )
    assert found["loss"] == pytest.approx(sklearn_metrics.log_loss(labels, probabilities), abs=1e-6)
    assert found["top_3_accuracy"] == pytest.approx(sklearn_metrics.top_k_accuracy_score(labels, logits, k=3))


def test_the_figures_of_each_class_agree_with_scikit_learn():
    logits, labels = some()
    rows = measured(logits, labels)["classes"].values()
    each = sklearn_metrics.precision_recall_fscore_support(labels, logits.argmax(-1))
    for name, expected in zip(("precision", "recall", "f1", "images"), each, strict=True):
        np.testing.assert_allclose([row[name] for row in rows], np.asarray(expected), rtol=1e-6)
    probabilities = logits.double().softmax(-1)
    for place, row in enumerate(rows):
        assert row["auroc"] == pytest.approx(sklearn_metrics.roc_auc_score(labels == place, probabilities[:, place]))
        assert row["average_precision"] == pytest.approx(
            sklearn_metrics.average_precision_score(labels == place, probabilities[:, place])
        )


def test_a_model_that_never_names_the_rare_class_is_accurate_but_no_better_than_chance():
    """95 images of one class, 5 of the other, and always the first."""
    labels = torch.tensor([0] * 95 + [1] * 5)
    found = measured(torch.tensor([[1.0, 0.0]]).expand(100, 2), labels, ["common", "rare"])
    assert found["accuracy"] == pytest.approx(0.95)
    assert found["balanced_accuracy"] == 0.5
    assert found["macro_f1"] == pytest.approx((2 * 0.95 / 1.95) / 2)
    assert (found["mcc"], found["auroc"]) == (0.0, 0.5)
    assert found["classes"]["rare"] == {
        "precision": 0.0,
        "recall": 0.0,
        "f1": 0.0,
        "auroc": 0.5,
        "average_precision": pytest.approx(0.05),
        "images": 5,
    }


@pytest.mark.parametrize(
    ("classes", "best"), [(2, None), (3, None), (4, None), (5, 2), (6, 2), (7, 3), (10, 4), (11, 5), (1000, 5)]
)
def test_the_best_few_are_fewer_than_half_of_the_classes(classes: int, best: int | None):
    assert top_k_of(classes) == best
    assert best is None or 1 < best < classes / 2


@pytest.mark.parametrize("classes", [2, 3, 5, 12])
def test_what_is_measured_is_what_can_be_asked_for(classes: int):
    logits, labels = torch.randn(40, classes), torch.arange(40) % classes
    assert list(figures_of_split(measured(logits, labels))) == figure_names("single_label_classification", classes)


def test_a_class_without_images_is_left_out_of_the_means_and_nothing_is_nan():
    logits, labels = torch.tensor([[2.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]), torch.tensor([0, 1, 1])
    found = measured(logits, labels, ["a", "b", "c"])
    assert found["balanced_accuracy"] == pytest.approx((1 + 1 / 2) / 2)
    assert found["macro_f1"] == pytest.approx((2 / 3 + 2 / 3) / 2)
    assert found["classes"]["c"] == {
        "precision": 0.0,
        "recall": 0.0,
        "f1": 0.0,
        "auroc": None,
        "average_precision": None,
        "images": 0,
    }
    spread = measure_intervals(logits, labels, "single_label_classification", ["a", "b", "c"])
    assert json.loads(json.dumps([found, spread], allow_nan=False))
    assert spread["classes"]["c"]["auroc"] is None


def test_a_split_of_one_class_has_no_auroc():
    found = measured(torch.randn(5, 3), torch.zeros(5, dtype=torch.long))
    assert found["auroc"] is None
    assert "auroc" not in figures_of_split(found)


def test_the_bootstrap_measures_what_the_report_does():
    """Of a resample that is the split itself, every image once."""
    logits, labels = some()
    logits = logits.round(decimals=1)  # with ties
    found, again = measured(logits, labels), SingleLabelSample(logits, labels)(torch.ones(1, 200).double())
    assert_same_figures(again, found)


def test_an_image_that_is_drawn_twice_counts_twice():
    logits, labels = some(40, 4)
    counts = torch.randint(0, 4, (1, 40))
    repeated = torch.arange(40).repeat_interleave(counts[0])
    found, drawn = measured(logits[repeated], labels[repeated]), SingleLabelSample(logits, labels)(counts.double())
    for name in ("macro_f1", "mcc", "auroc", "average_precision", "loss", "expected_calibration_error"):
        assert float(drawn[name]) == pytest.approx(found[name], rel=1e-5), name


def test_the_calibration_error_is_the_distance_from_confidence_to_accuracy():
    probabilities = torch.tensor([[0.9, 0.1]] * 4)
    assert float(calibration_error(probabilities, torch.tensor([0, 0, 0, 1]))) == pytest.approx(0.9 - 0.75)
    assert float(calibration_error(torch.eye(2), torch.tensor([0, 1]))) == 0.0


def test_rows_of_the_confusion_matrix_are_actual_and_columns_predicted():
    matrix = confusion_matrix(torch.tensor([1, 1, 0]), torch.tensor([0, 1, 0]), 2)
    assert matrix.tolist() == [[1, 1], [0, 1]]


def test_logits_that_are_no_numbers_are_refused():
    with pytest.raises(ValueError, match="NaN or infinite"):
        measured(torch.tensor([[float("nan"), 0.0]]), torch.tensor([0]))
