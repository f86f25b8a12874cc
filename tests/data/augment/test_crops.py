import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as some

from vit_hf.data.augment.crops import BOX_DRAWS, flip, mirrored, pad_and_crop, random_box
from vit_hf.data.decode.resize import Box

SCALE, RATIO = (0.08, 1.0), (3 / 4, 4 / 3)


def boxes(height: int, width: int, count: int) -> list[Box]:
    numbers = np.random.default_rng(0).random((count, BOX_DRAWS))
    return [random_box(height, width, own, scale=SCALE, ratio=RATIO) for own in numbers]


@given(height=some.integers(1, 300), width=some.integers(1, 300), seed=some.integers(0, 100))
@settings(max_examples=200, deadline=None)
def test_a_box_lies_in_the_image(height: int, width: int, seed: int):
    numbers = np.random.default_rng(seed).random(BOX_DRAWS)
    box = random_box(height, width, numbers, scale=SCALE, ratio=RATIO)
    assert box.height > 0
    assert box.width > 0
    assert 0 <= box.top <= height - box.height
    assert 0 <= box.left <= width - box.width


def test_areas_and_shapes_are_distributed_as_asked():
    drawn = boxes(1000, 1000, 4000)
    areas = np.array([box.height * box.width for box in drawn]) / 1e6
    shapes = np.log([box.width / box.height for box in drawn])
    # A large box of an odd shape does not fit, and is drawn again.
    numbers = np.random.default_rng(1)
    any_area, any_shape = numbers.uniform(*SCALE, 100_000), numbers.uniform(math.log(3 / 4), math.log(4 / 3), 100_000)
    expected = any_area[any_area <= np.exp(-abs(any_shape))]
    assert abs(areas.mean() - expected.mean()) < 0.015
    assert abs(areas.std() - expected.std()) < 0.01
    assert areas.min() >= 0.079
    assert abs(shapes.mean()) < 0.01
    assert abs(shapes).max() < math.log(4 / 3) + 0.01
    tops = np.array([box.top / max(1, 1000 - box.height) for box in drawn if box.height < 900])
    assert abs(np.histogram(tops, bins=4, range=(0, 1))[0] / len(tops) - 0.25).max() < 0.03


def test_an_image_too_narrow_for_any_shape_gives_its_middle():
    assert random_box(10, 100, np.full(BOX_DRAWS, 0.5), scale=(0.9, 1.0), ratio=RATIO) == Box(0, 43, 10, 13)


def test_a_box_of_an_image_decoded_at_half_size_is_half_as_large():
    pixels = np.arange(50 * 40 * 3).reshape(50, 40, 3)
    assert np.array_equal(Box(20, 10, 30, 40).of(pixels, 100, 80), pixels[10:25, 5:25])
    assert Box(99, 79, 1, 1).of(pixels, 100, 80).shape == (1, 1, 3)


def test_margins_mirror_without_repeating_the_border():
    assert mirrored(4, 2).tolist() == [2, 1, 0, 1, 2, 3, 2, 1]


@pytest.mark.parametrize("padding", ["zeros", "reflect"])
def test_a_padded_image_is_moved_by_what_was_drawn(padding):
    pixels = torch.arange(2 * 3 * 5 * 6).reshape(2, 3, 5, 6).byte()
    numbers = np.array([[0.5, 0.5], [0.99, 0.0]])  # the middle; down by the margin, left by it
    moved = pad_and_crop(pixels, numbers, margin=2, padding=padding)
    assert torch.equal(moved[0], pixels[0])
    assert torch.equal(moved[1, :, :3, 2:], pixels[1, :, 2:, :-2])
    below, aside = moved[1, :, 3, 2:], moved[1, :, :3, 1]
    if padding == "zeros":
        assert below.max() == aside.max() == 0
    else:
        assert torch.equal(below, pixels[1, :, 3, :-2])
        assert torch.equal(aside, pixels[1, :, 2:, 1])


def test_a_margin_that_cannot_be_mirrored_is_refused():
    with pytest.raises(ValueError, match=r"margin of 4.*4 x 8.*padding: zeros"):
        pad_and_crop(torch.zeros(1, 3, 4, 8).byte(), np.zeros((1, 2)), margin=4, padding="reflect")


def test_a_flip_mirrors_columns_with_its_probability():
    pixels = torch.rand(2, 1, 4, 6)
    flipped = flip(pixels, np.array([[0.4], [0.6]]), probability=0.5)
    assert torch.equal(flipped[0], pixels[0].flip(-1))
    assert torch.equal(flipped[1], pixels[1])
