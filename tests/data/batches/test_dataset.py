from pathlib import Path

import pytest
import torch
from made_images import class_folders, noise
from torch.utils.data import DataLoader

from vit_hf.data.augment.plan import AugmentationPlan
from vit_hf.data.batches.dataset import ImageBatches, collate
from vit_hf.data.batches.device import parts_of, refuse_broken
from vit_hf.data.batches.load_batches import load_batches
from vit_hf.data.decode.images import UnreadableImage
from vit_hf.data.decode.preparation import Preparation
from vit_hf.data.decode.processors import make_image_processor
from vit_hf.data.settings import DataSettings
from vit_hf.data.sources.open_data import open_source
from vit_hf.models.configuration_vit import VisionTransformerConfig

MOVES = {"shift": 0.2, "rotate": 20.0}


def processor_of(size: int = 8):
    config = VisionTransformerConfig(image_size=size, patch_size=4)
    mean, std = [0.4, 0.5, 0.6], [0.2, 0.3, 0.4]
    return make_image_processor(config, mean=mean, std=std, crop_pct=None, interpolation="bicubic")


def load(folder: Path, *, size: int = 8, train: dict | None = None, seed: int = 0, **settings) -> ImageBatches:
    chosen = DataSettings(name=str(folder), **settings)
    table = open_source(chosen).splits["train"]
    plan = AugmentationPlan.of(train or {}, chosen.mix)
    return load_batches(
        table, Preparation(processor_of(size), 3), chosen, split="train", plan=plan, classes=2, seed=seed
    )


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return class_folders(tmp_path / "photos", {"cat": 4, "dog": 4})


@pytest.mark.parametrize("in_memory", [True, False])
def test_pixels_are_those_of_the_image_processor(photos: Path, in_memory: bool):
    batch = load(photos, size=12, keep_in_memory=in_memory).__getitems__([1, 5])
    expected = processor_of(12)([noise(1), noise(5)], return_tensors="pt")["pixel_values"]
    std = torch.tensor([0.2, 0.3, 0.4]).reshape(3, 1, 1)
    levels = ((batch["pixel_values"] - expected) * std * 255).abs()
    assert levels.max() < 1.01  # of 256: torch's resizing rounds otherwise in a few pixels
    assert levels.mean() < 0.002 * 255
    assert batch["labels"].tolist() == [0, 1]


def test_augmentation_is_a_function_of_seed_epoch_and_sample(photos: Path):
    images, same = load(photos, train=MOVES, seed=1), load(photos, train=MOVES, seed=1)
    other_seed = load(photos, train=MOVES, seed=2)
    first = images[3]["pixel_values"]
    torch.testing.assert_close(same.__getitems__([0, 3, 6])["pixel_values"][1], first, atol=1e-6, rtol=0)
    assert not torch.allclose(other_seed[3]["pixel_values"], first)
    images.set_epoch(1)
    assert not torch.allclose(images[3]["pixel_values"], first)
    images.set_epoch(0)
    assert torch.equal(images[3]["pixel_values"], first)


def test_workers_that_outlive_an_epoch_augment_anew_in_the_next(photos: Path):
    images = load(photos, train=MOVES)
    loader = DataLoader(images, batch_size=8, collate_fn=collate, num_workers=1, persistent_workers=True)
    seen = []
    for epoch in range(2):
        images.set_epoch(epoch)
        seen += [next(iter(loader))["pixel_values"]]
    assert not torch.allclose(seen[0], seen[1])
    torch.testing.assert_close(seen[1], images.__getitems__(list(range(8)))["pixel_values"])


def test_broken_files_are_counted_and_named_before_training(photos: Path):
    (photos / "cat" / "notes.jpg").write_text("not an image")
    (photos / "dog" / "cut.png").write_bytes((photos / "dog" / "0.png").read_bytes()[:50])
    with pytest.raises(UnreadableImage, match=r"(?s)2 of 10 images.*notes\.jpg.*cut\.png.*on_error skip"):
        load(photos)


@pytest.mark.parametrize("in_memory", [True, False])
def test_broken_files_are_left_out_when_asked_and_said_to_be(photos: Path, capsys, in_memory: bool):
    (photos / "cat" / "notes.jpg").write_text("not an image")
    images = load(photos, on_error="skip", keep_in_memory=in_memory)
    assert len(images) == 8
    expected = processor_of()(noise(4), return_tensors="pt")["pixel_values"][0]
    torch.testing.assert_close(images[4]["pixel_values"], expected, atol=1e-5, rtol=0)
    assert "notes.jpg" in capsys.readouterr().out


def test_many_broken_files_are_counted_and_the_first_ten_named(tmp_path: Path):
    folder = class_folders(tmp_path, {"a": 1, "b": 1})
    for number in range(14):
        (folder / "a" / f"x{number:02d}.jpg").touch()
    with pytest.raises(UnreadableImage, match=r"(?s)14 of 16 images.*x09\.jpg.*and 4 more"):
        load(folder)


@pytest.mark.parametrize("in_memory", [False, True])
def test_infinite_pixels_are_refused_by_the_name_of_their_file(photos: Path, in_memory: bool):
    images = load(photos, check_finite=True, keep_in_memory=in_memory)
    images.preparation.mean = torch.full((3, 1, 1), torch.nan)
    with pytest.raises(ValueError, match=r"dog/0\.png has NaN or infinite pixels"):
        images[4]


def test_of_a_batch_that_a_device_finishes_the_first_broken_image_is_named():
    pixels = torch.zeros(4, 3, 2, 2)
    pixels[2, 1, 0, 1], pixels[3] = torch.inf, torch.nan
    refuse_broken(pixels[:2], ["a", "b"])
    with pytest.raises(ValueError, match="c has NaN or infinite pixels"):
        refuse_broken(pixels, ["a", "b", "c", "d"])


@pytest.mark.parametrize(("side", "size"), [(224, 16), (225, 14), (32, 784), (4000, 2)])
def test_images_are_finished_in_parts_of_as_many_bytes_that_tear_no_pair_apart(side: int, size: int):
    pixels = torch.empty(1, dtype=torch.uint8).expand(1000, 3, side, side)
    parts = parts_of(pixels)
    assert parts[0] == slice(0, size)
    assert [part.start for part in parts] == list(range(0, 1000, size))
    assert parts_of(pixels.to("meta")) == [slice(0, 1000)]
