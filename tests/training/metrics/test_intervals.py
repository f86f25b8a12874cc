import time

import numpy as np
import pytest
import torch
from scipy import stats

from vit_hf.training.metrics.intervals import bootstrap, drawn_counts, resamples_for, wilson, wilson_of_mean
from vit_hf.training.metrics.measure import measure, measure_intervals


def test_wilsons_interval_is_that_of_the_tables():
    low, high = wilson(0.9, 100)  # (90 + 1.96²/2 ± ...) / (100 + 1.96²), by hand
    assert (low, high) == (pytest.approx(0.82563, abs=1e-5), pytest.approx(0.94477, abs=1e-5))


def test_it_stays_within_0_and_1_and_says_nothing_of_no_images():
    assert wilson(1.0, 10) == (pytest.approx(0.72247, abs=1e-5), pytest.approx(1))
    assert wilson(0.0, 10)[0] == 0.0
    assert wilson(0.0, 0) == (0.0, 1.0)


def test_the_interval_of_a_mean_is_wilsons_where_there_is_one_share_and_narrower_of_many():
    assert wilson_of_mean([0.9], [100]) == pytest.approx(wilson(0.9, 100))
    low, high = wilson_of_mean([0.9] * 4, [100] * 4)
    assert (low, high) == (pytest.approx(0.9 - (0.9 - 0.82563) / 2, abs=1e-5), pytest.approx(0.92238, abs=1e-5))


def test_a_class_of_three_images_that_are_all_right_is_not_taken_for_certain():
    low, _ = wilson_of_mean([1.0, 1.0], [1000, 3])
    assert low == pytest.approx(1 - (1 - wilson(1.0, 3)[0]) / 2, abs=1e-3)


def test_nineteen_of_twenty_intervals_of_a_mean_of_shares_hold_the_true_one():
    numbers, held = np.random.default_rng(0), 0
    truth, images = np.array([0.95, 0.7, 0.4]), np.array([400, 30, 12])
    for _ in range(2000):
        low, high = wilson_of_mean((numbers.binomial(images, truth) / images).tolist(), images.tolist())
        held += low <= truth.mean() <= high
    assert 0.935 < held / 2000 < 0.975


def test_a_resample_is_as_many_images_drawn_with_replacement():
    counts = drawn_counts(50, 4000, torch.Generator().manual_seed(0))
    assert (counts.sum(1) == 50).all()
    assert counts.var(0).mean() == pytest.approx(0.98, abs=0.02)  # n p (1 - p)
    assert (counts.mean(0) - 1).abs().max() < 5 / 4000**0.5


def test_the_bootstrap_of_a_mean_is_that_of_its_standard_error():
    values = torch.randn(400, dtype=torch.float64)
    ((interval,),) = bootstrap(lambda counts: {"mean": counts @ values / 400}, 400, resamples=4000).values()
    assert interval is not None
    spread = float(values.std()) / 20 * stats.norm.ppf(0.975)
    assert interval == (
        pytest.approx(float(values.mean()) - spread, abs=0.008),
        pytest.approx(float(values.mean()) + spread, abs=0.008),
    )


def test_resamples_in_which_a_figure_is_undefined_do_not_count():
    found = bootstrap(lambda counts: {"of": torch.stack([counts[:, 0] / counts[:, 0], counts[:, 0] * torch.nan], 1)}, 3)
    assert found == {"of": [(1.0, 1.0), None]}


def test_figures_lie_in_their_intervals_which_narrow_with_more_images():
    widths = []
    for images in (100, 1600):
        labels = torch.arange(images) % 4
        logits = torch.randn(images, 4) * 2 + torch.eye(4)[labels]
        how = logits, labels, "single_label_classification", list("abcd")
        found, spread = measure(*how), measure_intervals(*how)
        assert set(spread) == set(found) - {"images"}
        for name, interval in spread.items():
            if name not in ("classes", "expected_calibration_error"):  # whose bootstrap is biased upward
                assert interval[0] <= found[name] <= interval[1], name
        for name, row in spread["classes"].items():
            assert set(row) == set(found["classes"][name]) - {"images"}
            for figure, (low, high) in row.items():
                assert low <= found["classes"][name][figure] <= high
        widths.append({name: high - low for name, (low, high) in list(spread.items())[:-1] if name != "classes"})
    assert all(widths[1][name] < widths[0][name] / 2 for name in widths[0] if name != "expected_calibration_error")


def test_a_thousand_resamples_of_ten_thousand_images_take_seconds():
    labels = torch.arange(10_000) % 3
    logits = torch.randn(10_000, 3) + torch.eye(3)[labels]
    assert resamples_for(10_000, 3) == 1000
    start = time.process_time()
    measure_intervals(logits, labels, "single_label_classification", list("abc"))
    assert time.process_time() - start < 20  # 0.6 on an idle core
