import numpy as np
import pytest
import torch

from vit_hf.data.erasing import ERASE_DRAWS, erase, erased_boxes, places_in
from vit_hf.data.random_numbers import noise, uniform

AREA = (0.02, 1 / 3)


def draws(count: int) -> np.ndarray:
    return uniform(0, 0, np.arange(count), ERASE_DRAWS)


def test_places_are_those_of_the_boxes():
    images, rows, columns = places_in(np.array([[1, 2, 2, 3], [0, 0, 0, 0], [4, 0, 1, 2]]))
    assert images.tolist() == [0] * 6 + [2] * 2
    assert rows.tolist() == [1, 1, 1, 2, 2, 2, 4, 4]
    assert columns.tolist() == [2, 3, 4, 2, 3, 4, 0, 1]


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
    erased = erase(pixels, numbers, **how)
    assert torch.equal(erase(pixels[::3], numbers[::3], **how), erased[::3])
    hit = erased != 7
    assert 4 <= int(hit.flatten(1).any(1).sum()) <= 12
    assert torch.equal(hit[:, 0], hit[:, 1])
    kinds = {len(erased[row, 0][hit[row, 0]].unique()) for row in range(16) if hit[row].any()}
    assert (kinds == {1}) == (fill != "pixel")
    assert (erased[hit].abs().max() == 0) == (fill == "zeros")


def test_noise_is_normal_and_differs_between_keys_and_places():
    keys = torch.tensor([3, 4])[:, None]
    first, second = noise(keys, torch.arange(40_000))
    for values in (first, second):
        assert abs(values.mean()) < 0.02
        assert abs(values.std() - 1) < 0.02
    assert abs(float((first * second).mean())) < 0.02
    assert abs(float((first[1:] * first[:-1]).mean())) < 0.02
    assert noise(torch.tensor([2**32 - 1]), torch.arange(10**6)).isfinite().all()
