"""Pairs of operations by hand; torchvision is the oracle of all of them in tests/parity."""

from typing import get_args

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from vit_hf.data.augment import color as tones
from vit_hf.data.augment import policies
from vit_hf.data.augment.augmentations import build_augmentation
from vit_hf.data.augment.auto_augment import nothing
from vit_hf.data.augment.geometry import rotate
from vit_hf.data.augment.policies import AUTOAUGMENT, POLICIES, PolicyName, autoaugment
from vit_hf.data.augment.random_numbers import uniform

PIXELS = torch.randint(0, 256, (1, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_the_words_are_those_of_the_table():
    assert set(get_args(PolicyName)) == set(POLICIES)


@pytest.mark.parametrize("policy", POLICIES)
def test_a_policy_is_25_pairs_of_operations_with_a_probability_and_a_magnitude(policy: PolicyName):
    assert len(POLICIES[policy]) == 25
    for pair in POLICIES[policy]:
        assert len(pair) == 2
        for name, probability, magnitude in pair:
            assert 0 <= probability <= 1
            assert magnitude in range(10)
            assert magnitude == 0 or AUTOAUGMENT[name] is not nothing


def test_a_pair_is_two_operations_one_after_the_other():
    # The first pair for ImageNet: posterize with probability 0.4 and magnitude 8, rotate with 0.6 and 9.
    def changed(*numbers: float) -> torch.Tensor:
        return autoaugment(PIXELS, np.array([[0.0, *numbers]]), policy="imagenet")

    posterized = tones.posterize(PIXELS, torch.tensor([4]))  # 8 bits less 4 * 8 / 9
    assert torch.equal(changed(0.39, 0.0, 0.61, 0.0), posterized)
    assert torch.equal(changed(0.39, 0.0, 0.59, 0.9), rotate(posterized, torch.tensor([30.0])))
    assert torch.equal(changed(0.41, 0.0, 0.59, 0.1), rotate(PIXELS, torch.tensor([-30.0])))
    assert torch.equal(changed(0.41, 0.0, 0.61, 0.0), PIXELS)


@pytest.mark.parametrize(
    ("name", "magnitude", "amount"),
    [
        ("shear_y", 6, 0.2),
        ("translate_x", 9, 15000 / 331),
        ("translate_y", 9, 30000 / 331),
        ("rotate", 3, 10.0),
        ("saturation", 0, 1.0),
        ("contrast", 6, 1.6),
        ("posterize", 5, 6),
        ("solarize", 3, 170.0),
    ],
)
def test_magnitudes_are_even_steps_to_the_most_of_the_paper(name: str, magnitude: int, amount: float):
    chosen = np.array([list(AUTOAUGMENT).index(name)])
    level, sign = np.array([magnitude / 9]), np.ones(1)
    assert policies.amounts_of(AUTOAUGMENT, chosen, level, sign, (200, 100)) == pytest.approx(amount)


def test_pairs_are_drawn_evenly_and_their_operations_as_often_as_is_said(monkeypatch: pytest.MonkeyPatch):
    told = []
    keep = lambda pixels, names, chosen, amounts: told.append(chosen) or pixels  # noqa: E731
    monkeypatch.setattr(policies, "apply", keep)
    autoaugment(PIXELS.expand(20000, -1, -1, -1), uniform(0, 0, np.arange(20000), 5), policy="svhn")
    for place, chosen in enumerate(told):
        for number, name in enumerate(AUTOAUGMENT):
            expected = sum(pair[place][1] for pair in POLICIES["svhn"] if pair[place][0] == name) / 25
            assert (chosen == number).mean() == pytest.approx(expected, abs=0.012), name


def test_a_policy_that_does_not_exist_is_met_with_those_that_do():
    with pytest.raises(ValidationError, match="'imagenet', 'cifar10' or 'svhn'"):
        build_augmentation("auto_augment", "imagenette")
    assert build_augmentation("auto_augment", True) == build_augmentation("auto_augment", "imagenet")
