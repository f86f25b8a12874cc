import numpy as np

from vit_hf.data.sources.tables import ImageTable, fingerprint


def table(names: list[str], labels: list[int]) -> ImageTable:
    return ImageTable.of(names, labels, source=lambda item, name: None, name=lambda item, row: item)


def test_a_hash_stands_for_names_labels_and_order_and_not_for_where_the_data_lies():
    first = fingerprint(table(["/here/cat/0.png", "/here/dog/1.png"], [0, 1]))
    assert fingerprint(table(["elsewhere/cat/0.png", "elsewhere/dog/1.png"], [0, 1])) == first
    assert fingerprint(table(["/here/cat/0.png", "/here/dog/1.png"], [0, 0])) != first
    assert fingerprint(table(["/here/cat/0.png", "/here/dog/2.png"], [0, 1])) != first
    turned = table(["/here/cat/0.png", "/here/dog/1.png"], [0, 1]).select(np.array([1, 0]))
    assert fingerprint(turned) != first
