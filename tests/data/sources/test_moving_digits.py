import numpy as np
from hypothesis import given
from hypothesis import strategies as some

from vit_hf.data.decode.videos import ArrayFootage
from vit_hf.data.sources.digits import DIRECTIONS, FRAMES, SIDE, STEP, moving, moving_digits

share = some.floats(0, 1, exclude_max=True)
OPPOSITE = {"down": "up", "left": "right", "down_left": "up_right", "down_right": "up_left"}


def place_of(frame: np.ndarray) -> np.ndarray:
    """The first row and column of a digit of ones."""
    return np.argwhere(frame[..., 0])[0]


@given(direction=some.sampled_from(list(DIRECTIONS.values())), down=share, right=share)
def test_a_digit_moves_whole_in_its_direction(direction: tuple[int, int], down: float, right: float):
    frames = moving(np.ones((8, 8), dtype=np.uint8), direction, np.array([down, right]))
    assert frames.shape == (FRAMES, SIDE, SIDE, 1)
    assert frames.sum(axis=(1, 2, 3)).tolist() == [64] * FRAMES
    steps = np.diff([place_of(frame) for frame in frames], axis=0)
    assert (steps == np.array(direction) * STEP).all()


@given(names=some.sampled_from(list(OPPOSITE.items())), down=share, right=share)
def test_the_opposite_direction_is_the_same_frames_backwards(names: tuple[str, str], down: float, right: float):
    digit, middle = np.arange(1, 65, dtype=np.uint8).reshape(8, 8), np.array([down, right])
    there, back = (moving(digit, DIRECTIONS[name], middle) for name in names)
    np.testing.assert_array_equal(there, back[::-1])


def test_every_digit_occurs_once_and_every_direction_as_often():
    table = moving_digits().splits["train"]
    assert len(table) == 1797
    assert sorted(table.class_counts(8).tolist()) == [224] * 3 + [225] * 5
    footage = table.open(0)
    assert isinstance(footage, ArrayFootage)
    assert footage.pictures([0])[0].pixels(3).shape == (SIDE, SIDE, 3)


def test_it_is_always_the_same():
    first, second = moving_digits().splits["train"], moving_digits().splits["train"]
    np.testing.assert_array_equal(first.labels, second.labels)
    np.testing.assert_array_equal(first.open(7).frames, second.open(7).frames)
