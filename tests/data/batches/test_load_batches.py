"""One recipe's batches by every way in which they can come."""

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made_images import class_folders, noise
from torch.utils.data import DataLoader

from vit_hf.data.augment.plan import AugmentationPlan
from vit_hf.data.batches import load_batches as module
from vit_hf.data.batches.dataset import DeadWorker, ImageBatches, RawBatches, collate, in_sentences
from vit_hf.data.batches.load_batches import load_batches
from vit_hf.data.decode.images import UnreadableImage
from vit_hf.data.decode.preparation import Preparation
from vit_hf.data.decode.processors import make_image_processor
from vit_hf.data.settings import DataSettings
from vit_hf.data.sources.open_data import open_source
from vit_hf.data.sources.tables import refuse_empty_classes
from vit_hf.models.configuration_vit import VisionTransformerConfig

TRAIN = {"flip": 0.5, "randaugment": 9, "shift": 0.1, "erase": 0.5}
CROP = {"random_resized_crop": {"scale": [0.4, 1.0]}}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return class_folders(tmp_path / "photos", {"cat": 4, "dog": 4})


def load(photos: Path, **settings: Any) -> ImageBatches:
    chosen = DataSettings(name=str(photos), **settings)
    preparation = Preparation(make_image_processor(VisionTransformerConfig(image_size=8, patch_size=4)), 3)
    plan = AugmentationPlan.of(chosen.train, chosen.mix)
    table = open_source(chosen).splits["train"]
    return load_batches(table, preparation, chosen, split="train", plan=plan, classes=2, seed=3)


def batches(images: ImageBatches, workers: int) -> list[dict]:
    """Two epochs as a Trainer reads them."""
    loader = DataLoader(RawBatches(images), batch_size=4, collate_fn=collate, num_workers=workers)
    found = []
    for epoch in range(2):
        images.set_epoch(epoch)
        found += [images.finish(batch) for batch in loader]
    return found


@pytest.mark.parametrize("crop", [{}, CROP], ids=["whole", "cropped"])
def test_images_are_the_same_by_whatever_way_they_come(photos: Path, crop: dict):
    settings: dict[str, Any] = {"train": {**crop, **TRAIN}, "mix": {"mixup": 0.8, "cutmix": 1.0}}
    expected = batches(load(photos, keep_in_memory=True, **settings), 0)
    assert not torch.equal(expected[0]["pixel_values"], expected[2]["pixel_values"])
    ways = [
        batches(load(photos, keep_in_memory=False, **settings), 0),
        batches(load(photos, keep_in_memory=False, cache=str(photos.parent / "cache"), **settings), 2),
    ]
    for way in ways:
        for found, batch in zip(way, expected, strict=True):
            assert torch.equal(found["pixel_values"], batch["pixel_values"])
            assert torch.equal(found["labels"], batch["labels"])


def test_a_batch_from_the_loader_is_bytes_or_rows_and_finished_by_the_device(photos: Path):
    on_disk, resident = load(photos, keep_in_memory=False, train=TRAIN), load(photos, train=TRAIN)
    assert on_disk.raw([0, 1])["pixel_values"].dtype == torch.uint8
    assert resident.raw([5, 9])["rows"].tolist() == [5, 1]  # the second repetition of the second image
    assert "pixel_values" not in resident.raw([0])
    with pytest.raises(ValueError, match="there are none"):
        on_disk.finish(resident.raw([0]))
    foreign = {"pixel_values": torch.rand(1, 3, 8, 8), "labels": torch.tensor([0])}
    assert resident.finish(foreign)["pixel_values"] is foreign["pixel_values"]


def test_another_repetition_of_an_image_is_augmented_differently(photos: Path):
    images = load(photos, train={"shift": 0.2}, repeats=2)
    first, second = images.__getitems__([2, 10])["pixel_values"]
    assert not torch.equal(first, second)


def test_an_image_that_goes_missing_stops_the_run_by_its_name(photos: Path):
    images = load(photos, keep_in_memory=False)
    (photos / "cat" / "2.png").unlink()
    for workers in (0, 1):
        loader = DataLoader(RawBatches(images), batch_size=4, collate_fn=collate, num_workers=workers)
        with pytest.raises(UnreadableImage, match=r"2\.png: it does not exist.*on_error skip") as caught:
            list(in_sentences(iter(loader)))
        assert "Traceback" not in str(caught.value)


def test_an_image_that_goes_missing_gives_way_to_the_next_and_is_counted(photos: Path):
    images = load(photos, keep_in_memory=False, on_error="skip")
    expected = images.__getitems__([4])
    for number in (2, 3):
        (photos / "cat" / f"{number}.png").unlink()
    batch = images.__getitems__([2, 2, 0])
    assert batch["labels"].tolist() == [1, 1, 0]
    assert torch.equal(batch["pixel_values"][0], expected["pixel_values"][0])
    list(DataLoader(RawBatches(images), batch_size=4, collate_fn=collate, num_workers=1))
    assert images.replaced.nonzero().flatten().tolist() == [2, 3]


def test_nothing_is_read_in_advance_where_that_is_not_wanted(photos: Path):
    (photos / "cat" / "0.png").write_bytes(b"")
    images = load(photos, keep_in_memory=False, check_images=False)
    assert images[1]["labels"] == 0
    with pytest.raises(UnreadableImage, match=r"0\.png: it is empty"):
        images[0]


def test_who_waits_for_images_is_told_how_to_wait_once(photos: Path, monkeypatch, capsys):
    load(photos, keep_in_memory=True)
    assert "data.cache" not in capsys.readouterr().out
    monkeypatch.setattr(module, "WORTH_A_CACHE", -1.0)
    load(photos, keep_in_memory=True)
    assert "with --data.cache true its prepared pixels are kept on disk" in capsys.readouterr().out


class Dying(RawBatches):
    """Its process is killed as if memory had run out."""

    def __getitems__(self, indices):
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_dead_worker_is_a_sentence_and_no_hang(photos: Path):
    loader = DataLoader(Dying(load(photos)), batch_size=4, collate_fn=collate, num_workers=1)
    with pytest.raises(DeadWorker, match=r"process that loads images died \(pid \d+\).*dataloader_num_workers"):
        list(in_sentences(iter(loader)))


def test_a_class_without_an_image_is_named(photos: Path):
    table = open_source(DataSettings(name=str(photos))).splits["train"]
    refuse_empty_classes(table, ["cat", "dog"])
    with pytest.raises(ValueError, match="The class 'cow' has no image in the train split"):
        refuse_empty_classes(table, ["cat", "dog", "cow"])
    with pytest.raises(ValueError, match="2 classes, such as 'cow', have no image"):
        refuse_empty_classes(table, ["cat", "dog", "cow", "hen"])


def test_a_part_of_an_image_is_cut_from_all_of_it(tmp_path: Path):
    folder = class_folders(tmp_path / "large", {"a": 1, "b": 1})
    noise(7, 40).save(folder / "a" / "0.png")
    images = load(folder, train=CROP, keep_in_memory=True)
    assert images.store is not None
    assert images.store.image(0).shape == (40, 40, 3)
    assert np.array_equal(images.store.image(0), np.asarray(noise(7, 40)))
