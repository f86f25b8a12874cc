import numpy as np
import pytest
import torch
from scipy import stats

from vit_hf.data.augment.mixing import MIX_DRAWS, cut_boxes, cutmix, mix, mixup, pair_plan, partners, shares
from vit_hf.data.augment.random_numbers import uniform

BOTH = {"mixup_alpha": 0.8, "cutmix_alpha": 1.0, "probability": 1.0, "switch": 0.5}


def draws(count: int) -> np.ndarray:
    return uniform(0, 0, np.arange(count), MIX_DRAWS)


def test_neighbors_are_partners_and_an_odd_one_stays_alone():
    assert partners(torch.arange(5)).tolist() == [1, 0, 3, 2, 4]


def test_mixup_keeps_a_share_and_takes_the_rest_from_the_neighbor():
    mixed = mixup(torch.tensor([[0.0], [10.0], [2.0], [4.0]]), torch.tensor([0.9, 0.9, 0.5, 0.5]))
    assert mixed.flatten().tolist() == pytest.approx([1.0, 9.0, 3.0, 3.0])


def test_cutmix_takes_a_box_from_the_neighbor():
    pixels = torch.stack([torch.zeros(1, 4, 5), torch.ones(1, 4, 5)])
    mixed = cutmix(pixels, torch.tensor([[1, 2, 2, 3], [1, 2, 2, 3]]))
    assert mixed[0].sum() == 6
    assert mixed[0, 0, 1:3, 2:5].min() == 1
    assert torch.equal(mixed[1], 1 - mixed[0])


def test_a_box_has_its_area_and_is_cut_off_at_the_border():
    boxes = cut_boxes(100, 100, np.array([0.75, 0.75]), np.array([0.5, 0.0]), np.array([0.5, 0.99]))
    assert boxes.tolist() == [[25, 25, 50, 50], [0, 74, 25, 26]]


def test_shares_have_the_beta_distribution():
    assert stats.kstest(shares(draws(4000)[:, 0], 0.8), stats.beta(0.8, 0.8).cdf).pvalue > 0.01


def test_labels_keep_what_the_image_keeps():
    keep, boxes, labels = pair_plan(draws(400), 16, 16, **BOTH)
    cut = boxes[:, 2] * boxes[:, 3] / 256
    assert abs((cut > 0).mean() - 0.5) < 0.15
    assert np.allclose(labels, np.where(cut > 0, 1 - cut, keep))
    assert np.array_equal(labels[::2], labels[1::2])
    none, *_ = pair_plan(draws(400), 16, 16, **{**BOTH, "probability": 0.0})
    assert none.min() == 1
    assert not pair_plan(draws(400), 16, 16, **{**BOTH, "cutmix_alpha": 0.0})[1].any()
    assert pair_plan(draws(400), 16, 16, **{**BOTH, "mixup_alpha": 0.0})[0].min() == 1


def test_a_batch_is_mixed_alike_whole_and_in_parts():
    pixels, labels, numbers = torch.rand(8, 3, 6, 6), torch.arange(8), draws(8)
    mixed, soft = mix(pixels, labels, numbers, 8, **BOTH)
    parts = [mix(pixels[part], labels[part], numbers[part], 8, **BOTH) for part in (slice(0, 2), slice(2, 8))]
    assert torch.equal(torch.cat([part for part, _ in parts]), mixed)
    assert torch.equal(torch.cat([part for _, part in parts]), soft)
    assert torch.allclose(soft.sum(1), torch.ones(8))
    assert (soft[torch.arange(8), labels] + soft[torch.arange(8), partners(labels)]).tolist() == pytest.approx([1] * 8)
