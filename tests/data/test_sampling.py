import numpy as np
import pytest

from vit_hf.data.sampling import RepeatedSampler


@pytest.mark.parametrize(("images", "repeats", "batch"), [(90, 3, 12), (50, 2, 64), (7, 3, 2)])
def test_an_epoch_has_as_many_samples_as_images_each_differently_repeated(images: int, repeats: int, batch: int):
    order = list(RepeatedSampler(images, repeats, batch=batch, seed=0))
    assert len(order) == images
    assert len(set(order)) == images
    assert max(order) < images * repeats


def test_a_batch_holds_all_repetitions_of_its_images_and_no_image_beside_itself():
    order = np.array(list(RepeatedSampler(96, 3, batch=12, seed=0))).reshape(8, 12)
    for batch in order:
        seen, counts = np.unique(batch % 96, return_counts=True)
        assert len(seen) == 4
        assert set(counts) == {3}
        assert (batch[::2] % 96 != batch[1::2] % 96).all()
    assert len(np.unique(order % 96)) == 32


def test_another_epoch_or_seed_has_another_order_and_the_same_ones_the_same():
    sampler = RepeatedSampler(40, 2, batch=8, seed=0)
    first = list(sampler)
    assert list(sampler) == first
    sampler.set_epoch(1)
    assert list(sampler) != first
    assert list(RepeatedSampler(40, 2, batch=8, seed=1)) != first
