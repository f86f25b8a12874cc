import numpy as np
import pytest

from vit_hf.data.augment.random_numbers import uniform


def test_a_sample_draws_the_same_numbers_in_whatever_batch_it_comes():
    alone = uniform(3, 5, np.array([17]), 4)
    together = uniform(3, 5, np.array([2, 17, 40]), 4)
    np.testing.assert_array_equal(alone[0], together[1])


@pytest.mark.parametrize("other", [(4, 5, 17), (3, 6, 17), (3, 5, 18)], ids=["seed", "epoch", "sample"])
def test_another_seed_epoch_or_sample_draws_other_numbers(other: tuple[int, int, int]):
    seed, epoch, sample = other
    assert not np.intersect1d(uniform(3, 5, np.array([17]), 8), uniform(seed, epoch, np.array([sample]), 8)).size


def test_the_numbers_are_uniform_and_unrelated():
    numbers = uniform(0, 0, np.arange(20_000), 3)
    assert numbers.min() >= 0
    assert numbers.max() < 1
    counts, _ = np.histogram(numbers, bins=20, range=(0, 1))
    assert abs(counts / 3000 - 1).max() < 0.1
    assert abs(np.corrcoef(numbers.T) - np.eye(3)).max() < 0.03
    assert abs(np.corrcoef(numbers[:-1, 0], numbers[1:, 0])[0, 1]) < 0.03
