import numpy as np
import pytest

from vit_hf.training.trainer.order import EpochOrder, permutation


def test_every_image_comes_once_an_epoch_and_in_another_order_in_the_next():
    order = EpochOrder(20, batch=4, seed=3)
    epochs = [order.indices(epoch).tolist() for epoch in range(3)]
    assert all(sorted(epoch) == list(range(20)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]
    assert epochs[0] != EpochOrder(20, batch=4, seed=4).indices(0).tolist()
    order.set_epoch(2)
    assert list(order) == epochs[2]


def test_the_last_batch_is_filled_from_the_beginning_or_left_out():
    filled, dropped = EpochOrder(10, batch=4, seed=0), EpochOrder(10, batch=4, seed=0, drop_last=True)
    shuffled = permutation(10, seed=0, epoch=0)
    assert filled.indices(0).tolist() == [*shuffled, *shuffled[:2]]
    assert dropped.indices(0).tolist() == shuffled[:8].tolist()
    assert (len(filled), len(dropped)) == (12, 8)


def test_the_images_of_a_step_are_those_of_its_place_in_its_epoch():
    order = EpochOrder(10, batch=4, seed=0)  # 3 steps an epoch
    assert order.images_of_step(1).tolist() == order.indices(0)[:4].tolist()
    assert order.images_of_step(5).tolist() == order.indices(1)[4:8].tolist()


def test_no_place_in_the_order_is_preferred():
    places = np.stack([np.argsort(permutation(8, seed=1, epoch=epoch)) for epoch in range(4000)])
    counts = np.stack([np.bincount(places[:, image], minlength=8) for image in range(8)])
    assert abs(counts - 500).max() < 5 * 500**0.5


def test_a_step_larger_than_the_data_is_refused():
    with pytest.raises(ValueError, match="takes 8 images .* and there are 7"):
        EpochOrder(7, batch=8, seed=0)
