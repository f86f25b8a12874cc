import numpy as np
import pytest
import torch
from sklearn.metrics import precision_recall_fscore_support, top_k_accuracy_score

from vit_hf.training.metrics import calibration_error, classification_metrics, confusion_matrix


def test_metrics_agree_with_scikit_learn():
    generator = torch.Generator().manual_seed(0)
    logits, labels = torch.randn(200, 7, generator=generator), torch.randint(7, (200,), generator=generator)
    found = classification_metrics(logits, labels, {index: f"class {index}" for index in range(7)})
    precision, recall, _, support = precision_recall_fscore_support(
        labels,
        logits.argmax(-1),
        zero_division=0.0,  # pyright: ignore[reportArgumentType]
    )
    rows = found["classes"].values()
    np.testing.assert_allclose([row["precision"] for row in rows], np.asarray(precision), rtol=1e-6)
    np.testing.assert_allclose([row["recall"] for row in rows], np.asarray(recall), rtol=1e-6)
    assert [row["images"] for row in rows] == np.asarray(support).tolist()
    assert found["accuracy"] == pytest.approx((logits.argmax(-1) == labels).float().mean().item())
    assert found["top_5_accuracy"] == pytest.approx(top_k_accuracy_score(labels, logits, k=5))


def test_top_five_is_limited_by_the_classes():
    found = classification_metrics(torch.tensor([[1.0, 0.0]]), torch.tensor([1]), {0: "cat", 1: "dog"})
    assert found["top_2_accuracy"] == 1.0
    assert found["accuracy"] == 0.0


def test_the_calibration_error_is_the_distance_from_confidence_to_accuracy():
    probabilities = torch.tensor([[0.9, 0.1]] * 4)
    assert float(calibration_error(probabilities, torch.tensor([0, 0, 0, 1]))) == pytest.approx(0.9 - 0.75)
    assert float(calibration_error(torch.eye(2), torch.tensor([0, 1]))) == 0.0


def test_rows_of_the_confusion_matrix_are_actual_and_columns_predicted():
    matrix = confusion_matrix(torch.tensor([1, 1, 0]), torch.tensor([0, 1, 0]), 2)
    assert matrix.tolist() == [[1, 1], [0, 1]]


def test_a_class_without_images_or_predictions_has_zeros_and_no_nan():
    found = classification_metrics(torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor([0]), {0: "a", 1: "b", 2: "c"})
    assert found["classes"]["b"] == {"precision": 0.0, "recall": 0.0, "images": 0}


def test_logits_that_are_no_numbers_are_refused():
    with pytest.raises(ValueError, match="NaN or infinite"):
        classification_metrics(torch.tensor([[float("nan"), 0.0]]), torch.tensor([0]), {0: "a", 1: "b"})
