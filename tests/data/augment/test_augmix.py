import numpy as np
import pytest
import torch

from vit_hf.data.augment import augmix as mixtures
from vit_hf.data.augment.augmentations import build_augmentation
from vit_hf.data.augment.augmix import AUGMIX, IN_IMAGENET_C, augmix, augmix_draws, weights_of
from vit_hf.data.augment.color import auto_contrast, equalize
from vit_hf.data.augment.random_numbers import uniform
from vit_hf.errors import UserError

PIXELS = torch.randint(40, 90, (1, 3, 12, 12), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
NAMES = list(AUGMIX["paper"])


def drawing(name: str) -> float:
    """The number that draws this operation."""
    return (NAMES.index(name) + 0.5) / len(NAMES)


def test_a_mixture_is_the_image_and_its_chains_by_their_weights():
    # Beta(1, 1) is uniform; Gamma(1) of 1 - 1/e is 1, and of 1 - 1/e^3 is 3: weights of a quarter and three quarters.
    quarters = [1 - np.exp(-1), 1 - np.exp(-3)]
    chains = [[quarters[0], 0.0, drawing("auto_contrast"), 0, 0], [quarters[1], 0.0, drawing("equalize"), 0, 0]]
    numbers = np.array([[0.4, *np.ravel(chains)]])
    mixed = augmix(PIXELS, numbers, operations="paper", severity=3, width=2, depth=1, alpha=1)
    expected = 0.6 * PIXELS + 0.4 * (0.25 * auto_contrast(PIXELS) + 0.75 * equalize(PIXELS))
    assert (mixed - expected).abs().max() <= 0.501


def test_operations_of_a_chain_follow_one_another_as_far_as_it_goes():
    step = {name: [drawing(name), 0.0, 0.0] for name in ("auto_contrast", "posterize", "equalize")}
    all_of_it = {"operations": "paper", "severity": 3, "width": 1, "alpha": 1}
    stretched = auto_contrast(PIXELS)
    posterized = stretched & 0b11110000  # of a small magnitude: 4 bits
    for luck, expected in ((0.1, stretched), (0.5, posterized), (0.9, equalize(posterized))):
        numbers = np.array([[1 - 2.0**-53, 0.5, luck, *np.concatenate(list(step.values()))]])
        assert torch.equal(augmix(PIXELS, numbers, depth=-1, **all_of_it), expected)


@pytest.mark.parametrize("alpha", [0.1, 1.0, 5.0])
def test_weights_are_shares_with_the_moments_of_their_distributions(alpha: float):
    image, *chains = weights_of(uniform(0, 0, np.arange(20000), 4).T, alpha)
    assert image + sum(chains) == pytest.approx(np.ones(20000))
    assert image.mean() == pytest.approx(0.5, abs=0.01)
    assert image.var() == pytest.approx(0.25 / (2 * alpha + 1), rel=0.05)
    mixed = image < 0.999
    for chain in chains:
        share = chain[mixed] / (1 - image[mixed])
        assert share.mean() == pytest.approx(1 / 3, abs=0.01)
        assert share.var() == pytest.approx(2 / 9 / (3 * alpha + 1), rel=0.05)


def test_weights_have_a_sum_whatever_is_drawn():
    assert weights_of(np.zeros((4, 1)), 0.1).sum() == pytest.approx(1)
    assert weights_of(np.zeros((2, 1)), 1.0).tolist() == [[1.0], [0.0]]


def test_magnitudes_go_up_to_the_severity_and_lengths_are_all_as_likely(monkeypatch: pytest.MonkeyPatch):
    told = []
    keep = lambda pixels, names, chosen, amounts: told.append((chosen, amounts)) or pixels  # noqa: E731
    monkeypatch.setattr(mixtures, "apply", keep)
    own = build_augmentation("augmix", {"severity": 5, "width": 1, "operations": "paper"})
    own(PIXELS.expand(6000, -1, -1, -1), uniform(0, 0, np.arange(6000), own.draws))
    assert [(chosen >= 0).mean() for chosen, _ in told] == pytest.approx([1, 2 / 3, 1 / 3], abs=0.02)
    turned = told[0][1][told[0][0] == NAMES.index("rotate")]
    assert 14.5 < turned.max() < 15 < 15.3 - turned.min() < 30.5  # half of 30 degrees, either way
    assert abs(turned).min() < 0.5


def test_an_image_of_one_color_that_no_operation_changes_comes_out_of_every_mixture():
    numbers = uniform(0, 0, np.arange(500), augmix_draws(3, 2))
    for chain in range(3):
        numbers[:, [3 + 8 * chain, 6 + 8 * chain]] = drawing("equalize")
    for color in (0, 1, 77, 254, 255):
        flat = torch.full((500, 3, 4, 4), color, dtype=torch.uint8)
        mixed = augmix(flat, numbers, operations="paper", severity=3, width=3, depth=2, alpha=1)
        assert torch.equal(mixed, flat)


def test_the_papers_operations_are_none_that_imagenet_c_measures():
    assert set(AUGMIX["all"]) - set(AUGMIX["paper"]) == set(IN_IMAGENET_C)


def test_a_number_is_the_severity_and_a_chain_has_operations():
    assert build_augmentation("augmix", 5).model_dump() == {
        "severity": 5, "width": 3, "depth": -1, "alpha": 1, "operations": "all",
    }  # fmt: skip
    with pytest.raises((ValueError, UserError), match="0 operations changes nothing"):
        build_augmentation("augmix", {"depth": 0})
