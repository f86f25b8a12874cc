"""Scores of maps are those of images whose answer is known."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom
from tiny import clips, images, tiny, tiny_swin, tiny_timesformer
from torch import nn

from vit_hf import (
    SwinTransformerForImageClassification,
    TimeSformerForVideoClassification,
    VisionTransformerForImageClassification,
)
from vit_hf.explanation.comparison import CHANCE, MethodGains, compare_methods
from vit_hf.explanation.explain import explain
from vit_hf.explanation.scoring import area, curves, gained_over, mean_gain, over_pixels, points_at, ranks_of


def test_areas_are_those_of_trapezoids():
    assert area(torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.0, 0.0], [0.0, 0.5, 1.0]])).tolist() == [1.0, 0.25, 0.5]


def test_ranks_count_what_is_hotter():
    heat = torch.tensor([[[0.1, 0.9], [0.5, 0.3]]])
    assert ranks_of(heat, (2, 2)).tolist() == [[[0.75, 0.0], [0.25, 0.5]]]
    clip = torch.stack([heat[0], heat[0] + 1])[None]
    assert ranks_of(clip, (2, 2))[0, 1].max() < 0.5 <= ranks_of(clip, (2, 2))[0, 0].min()


def test_of_equal_heat_no_place_comes_first():
    """All that a method sets to 0 is in an order of its own in each image, behind what is hotter."""
    heat = torch.zeros(2000, 2, 2)
    heat[:, 1, 0] = 1
    ranks = ranks_of(heat, (2, 2))
    assert (ranks[:, 1, 0] == 0).all()
    others = ranks.flatten(1)[:, [0, 1, 3]]
    assert (others.sort(1).values == torch.tensor([0.25, 0.5, 0.75])).all()
    torch.testing.assert_close(others.mean(0), torch.full((3,), 0.5), rtol=0, atol=0.02)
    assert torch.equal(ranks, ranks_of(heat, (2, 2)))


@given(rows=st.integers(1, 4), columns=st.integers(1, 4), patch=st.integers(1, 3), cut=st.integers(-2, 2))
def test_patches_become_their_squares_of_pixels(rows, columns, patch, cut):
    cut = min(cut, patch - 1)  # pixels that the last patches lack, or that lie beyond them
    chosen = torch.rand(2, rows, columns) > 0.5
    pixels = torch.zeros(2, 3, rows * patch - cut, columns * patch - cut)
    found = over_pixels(chosen, pixels, (patch, patch))
    assert found.shape == (2, 1, *pixels.shape[-2:])
    for row in range(pixels.shape[-2]):
        for column in range(pixels.shape[-1]):
            inside = row < rows * patch and column < columns * patch
            expected = chosen[:, row // patch, column // patch] if inside else torch.zeros(2, dtype=torch.bool)
            assert torch.equal(found[:, 0, row, column], expected)


class OfTwoPatches(nn.Module):
    """The probability of its first label rests on the first patch, and half as much on the second."""

    def __init__(self):
        super().__init__()
        self.config: Any = type("Config", (), {"patch_size": 8, "problem_type": None})
        self.seen: list[int] = []

    def forward(self, pixel_values):
        self.seen.append(len(pixel_values))
        logit = 4 * pixel_values[:, 0, :8, :8].mean((1, 2)) + 2 * pixel_values[:, 0, :8, 8:16].mean((1, 2)) - 3
        return type("Answer", (), {"logits": torch.stack([logit, -logit], dim=1)})


def test_a_map_that_knows_gains_and_one_that_errs_loses():
    model, pixels = OfTwoPatches(), torch.ones(3, 3, 16, 16)
    right, wrong, half = (
        torch.tensor([[4.0, 3], [2, 1]]),
        torch.tensor([[1.0, 2], [3, 4]]),
        torch.tensor([[3.0, 1], [4, 2]]),
    )
    found = curves(model, pixels, torch.stack([right, half, wrong]), torch.zeros(3).long(), steps=5, batch=2)
    gains = found.gain.tolist()
    assert gains[0] > gains[1] > gains[2]
    whole = torch.tensor([3.0, -3.0]).softmax(-1)[0]
    torch.testing.assert_close(found.deletion[:, 0], whole.expand(3))
    torch.testing.assert_close(found.insertion[:, -1], whole.expand(3))
    blank = torch.tensor([-3.0, 3.0]).softmax(-1)[0]
    torch.testing.assert_close(found.deletion[:, -1], blank.expand(3))
    # After a quarter of the patches: without the first, without one that does not matter, and so on.
    logits = [-1.0, 3.0, 3.0]
    torch.testing.assert_close(found.deletion[:, 1], torch.tensor([[x, -x] for x in logits]).softmax(-1)[:, 0])
    assert max(model.seen) == 2


def test_maps_of_every_family_are_scored():
    for model, pixels, shape in (
        (tiny(VisionTransformerForImageClassification), images(), (4, 4)),
        (tiny_swin(SwinTransformerForImageClassification), images(height=30), (8, 8)),
        (tiny_timesformer(TimeSformerForVideoClassification), clips(), (4, 4, 4)),
    ):
        found = curves(model, pixels, torch.rand(2, *shape), torch.zeros(2).long(), steps=3)
        assert found.deletion.shape == found.insertion.shape == (2, 3)
        logits = model(pixels).logits.softmax(-1)[:, 0]
        torch.testing.assert_close(found.deletion[:, 0], logits)
        torch.testing.assert_close(found.insertion[:, -1], logits)


def test_an_order_by_chance_gains_nothing_in_the_mean():
    model, pixels = OfTwoPatches(), torch.ones(512, 3, 16, 16)
    found = curves(model, pixels, torch.rand(512, 2, 2), torch.zeros(512).long(), steps=5).gain
    assert found.mean().abs() < 4 * found.std() / 512**0.5
    assert found.std() > 0.1


def test_pointing_asks_where_the_hottest_place_lies():
    maps = torch.tensor([[[0.0, 1], [0, 0]], [[0.0, 1], [0, 0]]])
    objects = torch.tensor([[[1, 1], [0, 0]], [[1, 0], [1, 1]]])
    assert points_at(maps, objects).tolist() == [True, False]


def test_a_map_that_knows_nothing_points_by_chance():
    """Not at the first patch, where an object may well lie or never: here a quarter of 16 patches, the first ones."""
    objects = (torch.arange(16) < 4).reshape(4, 4).expand(1024, 4, 4)
    found = points_at(torch.zeros(1024, 4, 4), objects)
    assert found.float().mean() == pytest.approx(0.25, abs=4 * (0.25 * 0.75 / 1024) ** 0.5)
    assert torch.equal(found, points_at(torch.zeros(1024, 4, 4), objects))


def test_a_mean_has_the_interval_of_its_resamples():
    """Of 0 and 1, half each: a resample of n has binomially many ones."""
    gains = torch.tensor([0.0, 1.0] * 200)
    mean, interval = mean_gain(gains)
    assert mean == 0.5
    assert interval is not None
    low, high = binom.ppf([0.025, 0.975], 400, 0.5) / 400
    torch.testing.assert_close(torch.tensor(interval), torch.tensor([low, high]).float(), rtol=0, atol=0.003)
    assert mean_gain(gains) == mean_gain(gains)


def test_what_makes_an_image_hard_for_both_methods_does_not_blur_their_difference():
    hard = torch.linspace(-1, 1, 50)
    better = gained_over(hard + 0.25, hard)
    assert better.mean == pytest.approx(0.25)
    assert better.interval == pytest.approx((0.25, 0.25), abs=1e-6)
    alone = mean_gain(hard + 0.25).interval
    assert alone is not None
    assert alone[0] < 0.1
    apart = gained_over(torch.tensor([0.5, 0.1, 0.3]), torch.tensor([0.1, 0.2, 0.1]))
    assert apart.mean == pytest.approx((0.4 - 0.1 + 0.2) / 3)
    assert apart.interval == pytest.approx((-0.1, 0.4), abs=1e-6)  # of 27 resamples one each has only the extreme


def test_one_image_has_a_gain_and_no_interval():
    assert str(mean_gain(torch.tensor([0.25]))) == "+0.250"
    assert str(mean_gain(torch.tensor([0.25, 0.25]))) == "+0.250 (95% interval +0.250 to +0.250)"


def test_methods_are_compared_image_by_image():
    model, pixels = tiny(VisionTransformerForImageClassification), images(batch=5)
    found = compare_methods(model, pixels, ("rollout", CHANCE, "attention"), steps=3, batch=2)
    assert found.images == 5
    alone = explain(model, pixels[3:4], method="rollout")
    expected = curves(model, pixels[3:4], alone.maps, alone.targets, steps=3).gain
    torch.testing.assert_close(found.gains["rollout"][3:4], expected)
    asked = compare_methods(model, pixels, ("rollout",), targets=torch.arange(5), steps=3, batch=2)
    other = explain(model, pixels[3:4], method="rollout", target=3)
    torch.testing.assert_close(
        asked.gains["rollout"][3:4], curves(model, pixels[3:4], other.maps, other.targets, steps=3).gain
    )


def test_the_best_method_gains_most_and_the_first_of_equals_is_taken():
    gains = {"a": torch.tensor([0.0, 0.2]), "b": torch.tensor([0.2, 0.2]), "c": torch.tensor([0.3, 0.1])}
    found = MethodGains({CHANCE: torch.ones(2), **gains})
    assert found.best == "b"
    assert found.over("b", "a").mean == pytest.approx(0.1)
    assert [name for name, _, more in found.rows() if more is None] == [CHANCE]
