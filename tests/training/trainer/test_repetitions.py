import numpy as np
import pytest

from vit_hf.training.trainer.order import EpochOrder, permutation, repeated


@pytest.mark.parametrize(("images", "repeats", "batch"), [(90, 3, 12), (50, 2, 64), (7, 3, 2)])
def test_an_epoch_has_as_many_samples_as_images_each_differently_repeated(images: int, repeats: int, batch: int):
    order = repeated(np.arange(images)[::-1], repeats, batch=batch)
    assert len(set(order.tolist())) == images
    assert max(order) < images * repeats


def test_a_batch_holds_all_repetitions_of_its_images_and_no_image_beside_itself():
    order = EpochOrder(96, batch=12, seed=0, repeats=3)
    for step, batch in enumerate(order.indices(0).reshape(8, 12)):
        seen, counts = np.unique(batch % 96, return_counts=True)
        assert len(seen) == 4
        assert set(counts) == {3}
        assert (batch[::2] % 96 != batch[1::2] % 96).all()
        assert (order.images_of_step(step + 1) == batch % 96).all()
    assert len(np.unique(order.indices(0) % 96)) == 32


def test_once_is_no_repetition():
    order = permutation(40, seed=0, epoch=2)
    assert repeated(order, 1, batch=8).tolist() == order.tolist()
