import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch.nn import functional

from vit_hf.training.calibration import COLDEST, FEWEST, HOTTEST, fit_temperature, negative_log_likelihood


def two_classes(gap: float, right: int, wrong: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Images with the same distance between both logits, of which so many are right; the classes take turns."""
    labels = torch.arange(right + wrong) % 2
    predicted = torch.where(torch.arange(right + wrong) < right, labels, 1 - labels)
    return gap * functional.one_hot(predicted, 2).float(), labels


def test_the_temperature_of_a_constant_confidence_is_that_of_the_accuracy():
    logits, labels = two_classes(gap=4.0, right=75, wrong=25)  # 98.2 % sure, and 75 % right
    found = fit_temperature(logits, labels)
    assert found.temperature == pytest.approx(4 / math.log(3), abs=1e-3)
    assert found.before == pytest.approx(1 / (1 + math.exp(-4)) - 0.75, abs=1e-5)
    assert found.after < 1e-4
    assert found.note is None


def test_logits_that_were_multiplied_are_divided_again():
    draws = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(20_000, 7, generator=draws)
    labels = torch.multinomial(logits.softmax(-1), 1, generator=draws)[:, 0]
    for factor in (0.25, 1.0, 5.0):
        assert fit_temperature(factor * logits, labels).temperature == pytest.approx(factor, rel=0.03)


def test_another_optimizer_finds_the_same_minimum():
    draws = torch.Generator().manual_seed(1)
    logits, labels = 3 * torch.randn(200, 5, generator=draws).double(), torch.randint(0, 5, (200,), generator=draws)
    found = fit_temperature(logits, labels)

    def loss(log_temperature: np.ndarray) -> float:
        return float(functional.cross_entropy(logits / math.exp(log_temperature.item()), labels))

    other = minimize(loss, np.zeros(1), method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-12})
    assert found.temperature == pytest.approx(min(HOTTEST, math.exp(other.x.item())), rel=1e-3)


@pytest.mark.parametrize("seed", range(20))
def test_validation_is_never_less_likely_than_without_it(seed: int):
    draws = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(40, 3, generator=draws)
    labels = torch.where(torch.rand(40, generator=draws) < 0.6, logits.argmax(-1), torch.arange(40) % 3)
    found = fit_temperature(logits, labels).temperature
    after, before = (negative_log_likelihood(logits / divisor, labels, multi=False) for divisor in (found, 1.0))
    assert after <= before + 1e-12


def test_where_all_are_right_it_is_as_sure_as_so_many_images_allow():
    logits, labels = two_classes(gap=1.0, right=98, wrong=0)
    found = fit_temperature(logits, labels)
    assert float((logits / found.temperature).softmax(-1).max()) == pytest.approx(99 / 100, abs=1e-4)
    assert found.note is not None
    assert "all 98 of validation are right" in found.note


def test_where_all_are_right_nothing_is_taken_from_what_the_model_is_sure_of():
    logits, labels = two_classes(gap=12.0, right=40, wrong=0)
    assert fit_temperature(logits, labels).temperature == 1


def test_where_all_are_wrong_it_stops_at_the_limit_and_says_so():
    logits, labels = two_classes(gap=5.0, right=0, wrong=60)
    found = fit_temperature(logits, labels)
    assert found.temperature == pytest.approx(HOTTEST, rel=1e-2)
    assert "limit" in found.describe("validation")


def test_hardly_any_confidence_stops_at_the_other_limit():
    logits, labels = two_classes(gap=1e-3, right=90, wrong=10)
    found = fit_temperature(logits, labels)
    assert found.temperature == pytest.approx(COLDEST, rel=1e-2)
    assert "limit" in found.describe("validation")


@pytest.mark.parametrize(
    ("logits", "labels", "reason"),
    [
        (torch.randn(FEWEST - 1, 3), torch.arange(FEWEST - 1) % 3, f"{FEWEST - 1} of validation are too few"),
        (torch.randn(50, 3), torch.ones(50, dtype=torch.long), "one class alone"),
        (torch.full((50, 3), math.nan), torch.arange(50) % 3, "no numbers"),
        (torch.empty(0, 3), torch.empty(0, dtype=torch.long), "0 of validation are too few"),
        (torch.randn(50, 3), torch.ones(50, 3), "no label ever varies"),
    ],
)
def test_what_cannot_be_fitted_stays_at_one_and_says_why(logits, labels, reason):
    found = fit_temperature(logits, labels, "multi_label_classification" if labels.ndim == 2 else None)
    assert found.temperature == 1
    assert reason in found.describe("validation")


def test_several_labels_are_calibrated_one_by_one():
    # Each of two labels is said with a logit of 3 or -3, and right in 80 of 100 images.
    labels = torch.arange(200).reshape(100, 2) % 2
    labels[::2] = labels[::2].flip(1)
    said = torch.where(torch.arange(100)[:, None] < 80, labels, 1 - labels)
    found = fit_temperature(3.0 * (2 * said - 1), labels.float(), "multi_label_classification")
    assert found.temperature == pytest.approx(3 / math.log(4), abs=1e-3)
    assert found.before == pytest.approx(1 / (1 + math.exp(-3)) - 0.8, abs=1e-5)
    assert found.after < 1e-4


def test_several_labels_that_are_all_right_are_bounded_too():
    labels = torch.arange(200).reshape(100, 2) % 2
    labels[::2] = labels[::2].flip(1)
    logits = 0.5 * (2.0 * labels - 1)
    found = fit_temperature(logits, labels.float(), "multi_label_classification")
    assert float((logits / found.temperature).sigmoid().max()) == pytest.approx(201 / 202, abs=1e-4)


def test_the_record_says_which_images_chose_it():
    logits, labels = two_classes(gap=4.0, right=75, wrong=25)
    record = fit_temperature(logits, labels).record("validation")
    assert {*record} == {"split", "temperature", "before", "after", "images"}
    assert (record["split"], record["images"]) == ("validation", 100)
