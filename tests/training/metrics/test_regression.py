import json

import pytest
import torch
from same_figures import assert_same_figures
from scipy import stats
from sklearn import metrics as sklearn_metrics
from torch import Tensor

from vit_hf.training.metrics.measure import figures_of_split, measure, measure_intervals
from vit_hf.training.metrics.regression import RegressionSample, midranks
from vit_hf.training.problem import figure_names


def some(images: int = 150) -> tuple[Tensor, Tensor]:
    labels = torch.stack([torch.randn(images), 1000 + torch.randint(5, (images,)).float()], 1)
    return labels + torch.randn(images, 2), labels


def test_the_figures_of_each_target_agree_with_scikit_learn_and_scipy():
    outputs, labels = some()
    found = measure(outputs, labels, "regression", ["depth", "age"])
    for place, row in enumerate(found["classes"].values()):
        ours, true = outputs[:, place].double().numpy(), labels[:, place].double().numpy()
        assert row["mae"] == pytest.approx(sklearn_metrics.mean_absolute_error(true, ours), rel=1e-6)
        assert row["rmse"] == pytest.approx(sklearn_metrics.mean_squared_error(true, ours) ** 0.5, rel=1e-6)
        assert row["r2"] == pytest.approx(sklearn_metrics.r2_score(true, ours), rel=1e-6)
        assert row["pearson"] == pytest.approx(stats.pearsonr(ours, true)[0], rel=1e-6)
        assert row["spearman"] == pytest.approx(stats.spearmanr(ours, true)[0], rel=1e-6)
    for name in ("mae", "rmse", "r2", "pearson", "spearman"):
        assert found[name] == pytest.approx(sum(row[name] for row in found["classes"].values()) / 2)
    assert list(figures_of_split(found)) == figure_names("regression", 2)


def test_three_images_by_hand():
    found = measure(torch.tensor([[1.0], [2], [6]]), torch.tensor([1.0, 3, 5]), "regression", ["age"])
    assert found["mae"] == pytest.approx(2 / 3)
    assert found["rmse"] == pytest.approx((2 / 3) ** 0.5)
    assert found["r2"] == pytest.approx(1 - 2 / 8)
    assert found["spearman"] == pytest.approx(1)


def test_what_does_not_vary_has_no_correlation_and_nothing_is_nan():
    outputs, labels = torch.stack([torch.ones(6), torch.arange(6.0)], 1), torch.stack([torch.arange(6.0)] * 2, 1)
    labels[:, 1] = 7
    found = measure(outputs, labels, "regression", ["a", "b"])
    assert found["classes"]["a"]["pearson"] is None
    assert found["classes"]["a"]["r2"] is not None
    assert found["classes"]["b"]["r2"] is None
    assert found["pearson"] is None
    spread = measure_intervals(outputs, labels, "regression", ["a", "b"])
    assert json.dumps([found, spread], allow_nan=False)
    assert spread["pearson"] is None


def test_equal_values_share_their_ranks():
    assert midranks(torch.tensor([[3.0], [1], [3], [2]]))[:, 0].tolist() == [3.5, 1, 3.5, 2]


def test_the_bootstrap_measures_what_the_report_does_and_an_image_drawn_twice_counts_twice():
    outputs, labels = some(60)
    for counts in (torch.ones(1, 60), torch.randint(0, 4, (1, 60))):
        rows = torch.arange(60).repeat_interleave(counts[0].long())
        found = measure(outputs[rows], labels[rows], "regression", ["depth", "age"])
        again = RegressionSample(outputs, labels)(counts.double())
        assert_same_figures(again, found)


@pytest.mark.parametrize(("scale", "offset"), [(1e-6, 0), (1e4, 1e6)])
def test_a_change_of_units_changes_neither_r2_nor_a_correlation(scale: float, offset: float):
    # torchmetrics takes a sum of squares below 1e-4 for none, and says that R² is 1.
    labels = torch.rand(40, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    outputs = labels + torch.randn(40, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    plain = measure(outputs, labels, "regression", ["a", "b"])
    moved = measure(outputs * scale + offset, labels * scale + offset, "regression", ["a", "b"])
    known, spread = (
        measure_intervals(outputs * factor, labels * factor, "regression", ["a", "b"]) for factor in (1, scale)
    )
    for name in ("r2", "pearson", "spearman"):
        assert moved[name] == pytest.approx(plain[name], abs=1e-4)
        assert spread[name] == pytest.approx(known[name], abs=1e-4)
    assert plain["r2"] < 0
    assert moved["mae"] == pytest.approx(scale * plain["mae"], rel=1e-4)
