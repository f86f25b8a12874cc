import numpy as np
import pytest

from vit_hf.data.sources.tables import ImageTable, fingerprint, refuse_strange_labels


def table(names: list[str], labels: list[int]) -> ImageTable:
    return ImageTable.of(names, labels, source=lambda item, name: None, name=lambda item, row: item)


def test_a_hash_stands_for_names_labels_and_order_and_not_for_where_the_data_lies():
    first = fingerprint(table(["/here/cat/0.png", "/here/dog/1.png"], [0, 1]))
    assert fingerprint(table(["elsewhere/cat/0.png", "elsewhere/dog/1.png"], [0, 1])) == first
    assert fingerprint(table(["/here/cat/0.png", "/here/dog/1.png"], [0, 0])) != first
    assert fingerprint(table(["/here/cat/0.png", "/here/dog/2.png"], [0, 1])) != first
    turned = table(["/here/cat/0.png", "/here/dog/1.png"], [0, 1]).select(np.array([1, 0]))
    assert fingerprint(turned) != first


def test_numbers_for_each_label_are_part_of_the_hash_and_follow_a_selection():
    def several(labels: list[list[float]]) -> ImageTable:
        return ImageTable.of(["a/0", "a/1"], labels, source=lambda item, name: None, name=lambda item, row: item)

    one = several([[0, 1], [1, 1]])
    assert one.labels.dtype == np.float32
    assert fingerprint(one) != fingerprint(several([[0, 1], [1, 0]]))
    assert one.select([1]).labels.tolist() == [[1, 1]]
    assert one.with_labels(np.array([[0.5], [1.5]])).labels.tolist() == [[0.5], [1.5]]
    assert one.class_counts(2).tolist() == [1, 2]
    assert several([[0.5, 7], [2, 8]]).class_counts(2).tolist() == [2, 2]
    with pytest.raises(ValueError, match="1 of 2 labels of the split 'train' are not finite.*a/1"):
        refuse_strange_labels(several([[0, 1], [1, float("nan")]]), ["x", "y"], "train")
