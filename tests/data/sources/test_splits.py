import numpy as np
import pytest
from made_images import class_folders

from vit_hf.data.settings import DataSettings
from vit_hf.data.sources.open_data import open_data


def test_the_test_split_of_the_digits_is_stratified_and_never_changes():
    data = open_data(DataSettings(name="digits"))
    train, test = data.splits["train"], data.splits["test"]
    assert (len(train), len(test)) == (1437, 360)
    assert np.bincount(test.labels).tolist() == [36, 36, 35, 37, 36, 37, 36, 36, 35, 36]
    assert not np.intersect1d(train.order, test.order).size
    assert test.order[:5].tolist() == [21, 24, 28, 34, 35]
    assert int(test.order.sum()) == 337944


def test_another_seed_draws_another_split_of_the_same_size():
    one = open_data(DataSettings(name="digits")).splits["test"]
    two = open_data(DataSettings(name="digits", split_seed=1)).splits["test"]
    assert len(one) == len(two)
    assert one.order.tolist() != two.order.tolist()


def test_every_class_is_tested_even_where_a_fifth_is_less_than_one_image(tmp_path):
    data = open_data(DataSettings(name=str(class_folders(tmp_path, {"a": 2, "b": 2, "c": 2}))))
    assert sorted(data.splits["test"].labels.tolist()) == [0, 1, 2]
    assert sorted(data.splits["train"].labels.tolist()) == [0, 1, 2]


def test_a_class_of_one_image_cannot_be_trained_on_and_tested(tmp_path):
    with pytest.raises(ValueError, match="class 'b' has 1 image"):
        open_data(DataSettings(name=str(class_folders(tmp_path, {"a": 5, "b": 1}))))
