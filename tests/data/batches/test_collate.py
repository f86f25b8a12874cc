import pytest
import torch

from vit_hf.data.batches.dataset import collate


def test_records_are_stacked_to_a_batch():
    batch = collate([{"pixel_values": torch.zeros(3, 2, 2), "labels": label} for label in (1, 0)])
    assert batch["pixel_values"].shape == (2, 3, 2, 2)
    assert batch["labels"].tolist() == [1, 0]


def test_a_whole_batch_passes_as_it_is():
    pixels, labels = torch.rand(2, 3, 4, 4), torch.tensor([0, 1])
    assert collate({"pixel_values": pixels, "labels": labels})["pixel_values"] is pixels


@pytest.mark.parametrize("missing", ["pixel_values", "labels"])
def test_a_missing_column_is_named_beside_those_there_are(missing: str):
    record = {"pixel_values": torch.zeros(3, 2, 2), "labels": 0, "image": "a picture"}
    del record[missing]
    with pytest.raises(ValueError, match=rf"column '{missing}' is missing.*'image'.*remove_unused_columns=False"):
        collate([record])
