"""Which frames make a clip."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vit_hf.models.frame_sampling import choose_frames, dense_frames, uniform_frames

counts = st.integers(1, 2000)
lengths = st.integers(1, 64)
rates = st.integers(1, 64)
places = st.floats(0, 1)
samplings = st.sampled_from(["uniform", "dense"])


@pytest.mark.parametrize(
    ("place", "numbers"), [(0.0, [0, 3, 6, 9]), (0.5, [1, 4, 7, 10]), (0.9, [2, 5, 8, 11]), (1.0, [3, 6, 9, 11])]
)
def test_uniform_takes_the_same_place_of_each_part(place, numbers):
    assert uniform_frames(12, 4, place).tolist() == numbers


def test_uniform_shows_the_frames_of_a_short_video_several_times():
    assert uniform_frames(3, 6, 0.5).tolist() == [0, 0, 1, 1, 2, 2]
    assert uniform_frames(1, 4, 0.5).tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(("place", "numbers"), [(0.0, [0, 3, 7, 11]), (0.5, [4, 7, 11, 15]), (1.0, [8, 11, 15, 19])])
def test_dense_takes_a_part_that_lies_where_the_place_says(place, numbers):
    """A part of 12 frames of 20: it begins with frame 0 at the earliest and with frame 8 at the latest."""
    assert dense_frames(20, 4, 3, place).tolist() == numbers


def test_dense_shows_the_last_frame_of_a_short_video_on():
    assert dense_frames(5, 4, 3, 1.0).tolist() == [0, 3, 4, 4]


@given(counts, lengths, samplings, rates, places)
def test_a_clip_has_as_many_frames_as_are_asked_for_in_the_order_of_time(count, frames, sampling, rate, place):
    numbers = choose_frames(count, frames, sampling, rate, place)
    assert numbers.shape == (frames,)
    assert (np.diff(numbers) >= 0).all()
    assert numbers.min() >= 0
    assert numbers.max() < count


@given(counts, lengths, places)
def test_uniform_covers_the_whole_video(count, frames, place):
    """No two frames, nor a frame and an end of the video, lie further apart than a part is long."""
    numbers = uniform_frames(count, frames, place)
    gaps = np.diff([-1, *numbers, count])
    assert gaps.max() <= count / frames + 1


@given(lengths, rates)
def test_a_video_as_long_as_the_clip_is_taken_as_it_is(frames, rate):
    assert choose_frames(frames, frames, "uniform", rate).tolist() == list(range(frames))
    assert choose_frames(frames, frames, "dense", 1).tolist() == list(range(frames))


@given(counts, lengths, rates, places)
def test_dense_is_the_formula_of_the_released_code(count, frames, rate, place):
    """facebookresearch/TimeSformer, timesformer/datasets/decoder.py: get_start_end_idx, then temporal_sampling."""
    start = place * max(count - frames * rate, 0)
    index = torch.linspace(start, start + frames * rate - 1, frames, dtype=torch.float64)
    chosen = torch.from_numpy(dense_frames(count, frames, rate, place))
    # Rounded down, but for numbers that floating point leaves a hair below a whole one.
    assert (chosen >= (index - 1e-9).clamp(0, count - 1).floor()).all()
    assert (chosen <= (index + 1e-9).clamp(0, count - 1).floor()).all()


@given(counts, lengths, samplings, rates)
def test_the_clip_in_the_middle_is_chosen_where_no_place_is_said(count, frames, sampling, rate):
    assert np.array_equal(
        choose_frames(count, frames, sampling, rate), choose_frames(count, frames, sampling, rate, 0.5)
    )


@given(counts, lengths, st.integers(1, 16))
def test_the_places_0_and_1_are_the_ends_of_the_video(count, frames, rate):
    assert uniform_frames(count, frames, 0.0)[0] == 0
    assert uniform_frames(count, frames, 1.0)[-1] == count - 1
    assert dense_frames(count, frames, rate, 0.0)[0] == 0
    if frames > 1:
        assert dense_frames(count, frames, rate, 1.0)[-1] == count - 1


@pytest.mark.parametrize(
    ("frames", "sampling", "rate", "says"),
    [
        (8, "sparse", 32, "sampling='sparse' is none of uniform, dense"),
        (0, "uniform", 32, "num_frames=0"),
        (8, "dense", 0, "sampling_rate=0"),
        ("8", "uniform", 32, "num_frames='8' .* whole numbers"),
        (8, "dense", 2.5, "sampling_rate=2.5 must be whole numbers"),
    ],
)
def test_what_chooses_nothing_is_refused(frames, sampling, rate, says):
    with pytest.raises(ValueError, match=says):
        choose_frames(10, frames, sampling, rate)
