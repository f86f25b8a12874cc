import pytest
import torch

from vit_hf.training.metrics import BINS, bootstrapped_calibration, calibration_error, wilson


def test_wilsons_interval_is_that_of_the_tables():
    low, high = wilson(0.9, 100)  # (90 + 1.96²/2 ± ...) / (100 + 1.96²), by hand
    assert (low, high) == (pytest.approx(0.82563, abs=1e-5), pytest.approx(0.94477, abs=1e-5))


def test_it_stays_within_0_and_1_and_says_nothing_of_no_images():
    assert wilson(1.0, 10) == (pytest.approx(0.72247, abs=1e-5), pytest.approx(1))
    assert wilson(0.0, 10)[0] == 0.0
    assert wilson(0.0, 0) == (0.0, 1.0)


def test_the_calibration_error_lies_in_its_interval_which_narrows_with_more_images():
    torch.manual_seed(0)
    widths = []
    for images in (200, 3200):
        probabilities = torch.randn(images, 4).mul(2).softmax(-1)
        labels = torch.randint(0, 4, (images,))
        low, high = bootstrapped_calibration(probabilities, labels, bins=BINS, resamples=200)
        assert low <= float(calibration_error(probabilities, labels)) <= high
        widths.append(high - low)
    assert widths[1] < widths[0] / 2
