import json
from typing import Any

import numpy as np
import pytest
import torch
from same_figures import assert_same_figures
from sklearn import metrics as sklearn_metrics
from torch import Tensor

from vit_hf.training.metrics.measure import figures_of_split, measure, measure_intervals
from vit_hf.training.metrics.multi_label import MultiLabelSample, choose_thresholds, said_at
from vit_hf.training.problem import figure_names

NAMES = ["sea", "boat", "gull"]
SEVERAL = "multi_label_classification"


def some(images: int = 120) -> tuple[Tensor, Tensor]:
    labels = (torch.rand(images, 3) < torch.tensor([0.5, 0.2, 0.05])).float()
    return torch.randn(images, 3) + 2 * labels - 1, labels


def f1_at(probabilities: Tensor, labels: Tensor, threshold: float) -> float:
    said, true = probabilities >= threshold, labels > 0.5
    return 2 * int((said & true).sum()) / int(said.sum() + true.sum())


def test_the_figures_agree_with_scikit_learn():
    logits, labels = some()
    found, said, probabilities = measure(logits, labels, SEVERAL, NAMES), logits > 0, logits.double().sigmoid()
    assert found["macro_f1"] == pytest.approx(sklearn_metrics.f1_score(labels, said, average="macro"), abs=1e-6)
    assert found["micro_f1"] == pytest.approx(sklearn_metrics.f1_score(labels, said, average="micro"), abs=1e-6)
    assert found["exact_match"] == pytest.approx(sklearn_metrics.accuracy_score(labels, said), abs=1e-6)
    assert found["hamming_loss"] == pytest.approx(sklearn_metrics.hamming_loss(labels, said), abs=1e-6)
    assert found["auroc"] == pytest.approx(sklearn_metrics.roc_auc_score(labels, probabilities), abs=1e-6)
    expected = sklearn_metrics.average_precision_score(labels, probabilities)
    assert found["average_precision"] == pytest.approx(expected, abs=1e-6)
    assert list(figures_of_split(found)) == figure_names(SEVERAL, 3)
    precision, recall, f1, count = sklearn_metrics.precision_recall_fscore_support(labels, said)
    for place, row in enumerate(found["classes"].values()):
        assert row["precision"] == pytest.approx(np.asarray(precision)[place])
        assert row["recall"] == pytest.approx(np.asarray(recall)[place])
        assert row["f1"] == pytest.approx(np.asarray(f1)[place])
        assert (row["images"], row["threshold"]) == (np.asarray(count)[place], 0.5)


def test_three_images_by_hand():
    logits = torch.tensor([[2.0, -1.0], [1.0, 1.0], [-2.0, -1.0]])
    found = measure(logits, torch.tensor([[1.0, 0], [0, 1], [0, 0]]), SEVERAL, ["a", "b"])
    assert found["exact_match"] == pytest.approx(2 / 3)  # the second is said to be both
    assert found["hamming_loss"] == pytest.approx(1 / 6)
    assert found["macro_f1"] == pytest.approx((2 / 3 + 1) / 2)
    assert found["micro_f1"] == pytest.approx(4 / 5)
    assert (found["average_precision"], found["auroc"]) == (1.0, 1.0)


def test_a_threshold_is_the_best_there_is_and_a_half_without_images():
    logits, labels = some()
    labels[:, 2] = 0
    thresholds, probabilities = choose_thresholds(logits, labels), logits.double().sigmoid()
    for place in (0, 1):
        possible = [f1_at(probabilities[:, place], labels[:, place], limit) for limit in np.linspace(0, 1, 2001)]
        assert f1_at(probabilities[:, place], labels[:, place], thresholds[place]) >= max(possible)
    assert thresholds[2] == 0.5


def test_of_equally_good_thresholds_it_is_the_nearest_to_a_half():
    probabilities = torch.tensor([0.1, 0.2, 0.7, 0.9])
    logits, labels = torch.logit(probabilities)[:, None], torch.tensor([[0.0], [0], [1], [1]])
    assert choose_thresholds(logits, labels) == [0.5]
    early = torch.tensor([0.05, 0.1, 0.2, 0.3])
    assert choose_thresholds(torch.logit(early)[:, None], labels) == [pytest.approx(0.15)]
    assert choose_thresholds(torch.logit(early)[:, None], torch.ones(4, 1)) == [pytest.approx(0.025)]


def test_equal_probabilities_are_on_one_side_of_a_threshold():
    logits, labels = torch.zeros(4, 1), torch.tensor([[1.0], [0], [0], [0]])
    assert said_at(logits, choose_thresholds(logits, labels)).all()


def test_thresholds_say_what_is_there_and_stand_in_the_report():
    logits, labels = some()
    found = measure(logits, labels, SEVERAL, NAMES, thresholds=[0.5, 0.3, 0.9])
    said = torch.stack([logits[:, 0].sigmoid() >= 0.5, logits[:, 1].sigmoid() >= 0.3, logits[:, 2].sigmoid() >= 0.9], 1)
    assert found["macro_f1"] == pytest.approx(
        sklearn_metrics.f1_score(labels, said, average="macro", zero_division=0.0),  # pyright: ignore[reportArgumentType]
        abs=1e-6,
    )
    assert [row["threshold"] for row in found["classes"].values()] == [0.5, 0.3, 0.9]


def test_a_label_that_no_image_has_is_left_out_of_the_means_and_nothing_is_nan():
    logits, labels = some()
    labels[:, 2], logits[:, 2] = 0, -5
    found = measure(logits, labels, SEVERAL, NAMES)
    both: dict[str, Any] = measure(logits[:, :2], labels[:, :2], SEVERAL, NAMES[:2])
    for name in ("macro_f1", "auroc", "average_precision"):
        assert found[name] == pytest.approx(both[name])
    assert found["classes"]["gull"]["auroc"] is None
    spread = measure_intervals(logits, labels, SEVERAL, NAMES)
    assert json.dumps([found, spread], allow_nan=False)
    assert set(spread) == set(found) - {"images"}


def test_the_bootstrap_measures_what_the_report_does():
    logits, labels = some()
    found = measure(logits, labels, SEVERAL, NAMES)
    again = MultiLabelSample(logits, labels, said_at(logits, None))(torch.ones(1, 120).double())
    assert_same_figures(again, found)


def test_labels_of_another_number_are_refused():
    with pytest.raises(ValueError, match="gives 3 numbers .* has 2"):
        measure(torch.zeros(4, 3), torch.zeros(4, 2), SEVERAL, NAMES)
