import numpy as np
import pytest
import torch
from scipy import stats

from vit_hf.data.augment.crops import ERASE_DRAWS, erase_, erased_boxes, places_in
from vit_hf.data.augment.random_numbers import noise, scramble, scrambled, uniform

AREA = (0.02, 1 / 3)


def draws(count: int) -> np.ndarray:
    return uniform(0, 0, np.arange(count), ERASE_DRAWS)


def test_places_are_those_of_the_boxes():
    images, places = places_in(np.array([[1, 2, 2, 3], [0, 0, 0, 0], [4, 0, 1, 2]]), 10)
    assert images.tolist() == [0] * 6 + [2] * 2
    assert places.tolist() == [12, 13, 14, 22, 23, 24, 40, 41]


def test_a_share_of_the_images_loses_an_area_between_the_limits():
    boxes = erased_boxes(draws(4000), 100, 80, probability=0.25, area=AREA)
    areas = boxes[:, 2] * boxes[:, 3] / 8000
    erased = areas[areas > 0]
    assert abs(len(erased) / 4000 - 0.25) < 0.02
    assert erased.min() > 0.018
    assert erased.max() < 0.34
    assert (boxes[:, 0] + boxes[:, 2]).max() <= 100
    assert (boxes[:, 1] + boxes[:, 3]).max() <= 80


@pytest.mark.parametrize("fill", ["pixel", "color", "zeros"])
def test_an_image_is_erased_in_the_same_way_whatever_batch_it_is_in(fill):
    how = {"probability": 0.5, "area": AREA, "fill": fill}
    pixels, numbers = torch.full((16, 3, 12, 10), 7.0), draws(16)
    erased = erase_(pixels.clone(), numbers, **how)
    assert torch.equal(erase_(pixels[::3].clone(), numbers[::3], **how), erased[::3])
    hit = erased != 7
    assert 4 <= int(hit.flatten(1).any(1).sum()) <= 12
    assert torch.equal(hit[:, 0], hit[:, 1])
    kinds = {len(erased[row, 0][hit[row, 0]].unique()) for row in range(16) if hit[row].any()}
    assert (kinds == {1}) == (fill != "pixel")
    assert (erased[hit].abs().max() == 0) == (fill == "zeros")


def test_noise_is_normal_and_differs_between_keys_places_and_channels():
    keys = torch.tensor([3, 4]).repeat_interleave(40_000)
    values = noise(keys, torch.arange(40_000).repeat(2), 6).unflatten(0, (2, -1))  # key, place, channel
    one_by_one = values.transpose(1, 2).flatten(0, 1)  # a row for each key and channel
    assert abs(one_by_one.mean(1)).max() < 0.02
    assert abs(one_by_one.std(1) - 1).max() < 0.02
    assert abs(torch.corrcoef(one_by_one) - torch.eye(12)).max() < 0.025
    assert abs((one_by_one[:, 1:] * one_by_one[:, :-1]).mean(1)).max() < 0.025
    assert stats.kstest(one_by_one[0].numpy(), "norm").pvalue > 0.01
    last = torch.tensor([2**32 - 1])
    assert noise(last, last, 9).isfinite().all()


def test_scrambling_in_torch_and_in_numpy_is_the_same():
    bits = np.array([0, 1, 2**63, 2**64 - 1, 0x123456789ABCDEF], dtype=np.uint64)
    assert np.array_equal(scrambled(torch.from_numpy(bits.view(np.int64))).numpy().view(np.uint64), scramble(bits))
