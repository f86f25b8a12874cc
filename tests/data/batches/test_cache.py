import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made_images import class_folders, noise

from vit_hf.data.augment.plan import AugmentationPlan
from vit_hf.data.batches import cache
from vit_hf.data.batches.dataset import ImageBatches
from vit_hf.data.batches.load_batches import load_batches
from vit_hf.data.decode.images import UnreadableImage
from vit_hf.data.decode.preparation import Preparation
from vit_hf.data.decode.processors import make_image_processor
from vit_hf.data.settings import DataSettings
from vit_hf.data.sources.open_data import open_source
from vit_hf.data.sources.tables import ImageTable
from vit_hf.files import aside_of
from vit_hf.models.configuration_vit import VisionTransformerConfig

CROPPED = {"random_resized_crop": {"scale": [0.5, 1.0]}, "flip": 0.5}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return class_folders(tmp_path / "photos", {"cat": 4, "dog": 4})


def load(photos: Path, *, size: int = 8, train: dict | None = None, **settings: Any) -> ImageBatches:
    chosen = DataSettings(name=str(photos), **{"cache": str(photos.parent / "cache"), **settings})
    config = VisionTransformerConfig(image_size=size, patch_size=4)
    processor = make_image_processor(config, mean=chosen.mean, interpolation=chosen.interpolation)
    table = open_source(chosen).splits["train"]
    return load_batches(
        table, Preparation(processor, 3), chosen, split="train", plan=AugmentationPlan.of(train or {}), classes=2
    )


def folders(photos: Path) -> list[Path]:
    return sorted(path for path in (photos.parent / "cache").iterdir() if path.is_dir())


def pixels(images: ImageBatches) -> torch.Tensor:
    return images.__getitems__(list(range(len(images))))["pixel_values"]


@pytest.mark.parametrize("train", [None, CROPPED], ids=["whole", "cropped"])
@pytest.mark.parametrize("keep_in_memory", [True, False])
def test_a_cache_holds_what_the_files_hold(photos: Path, train: dict | None, keep_in_memory: bool):
    expected = pixels(load(photos, train=train, cache=False, keep_in_memory=False))
    for _ in range(2):
        assert torch.equal(pixels(load(photos, train=train, keep_in_memory=keep_in_memory)), expected)
    assert len(folders(photos)) == 1


def test_a_cache_is_built_once_and_read_without_the_images(photos: Path, monkeypatch: pytest.MonkeyPatch):
    load(photos)
    monkeypatch.setattr(ImageTable, "read_each", None)
    load(photos, keep_in_memory=False)


@pytest.mark.parametrize("change", ["size", "interpolation", "touched", "added", "whole"])
def test_other_images_or_another_transform_make_another_cache(photos: Path, change: str):
    load(photos)
    settings: dict[str, Any] = {}
    if change == "size":
        settings["size"] = 12
    if change == "interpolation":
        settings["interpolation"] = "bilinear"
    if change == "touched":
        os.utime(photos / "cat" / "0.png", (1, 1))
    if change == "added":
        noise(9).save(photos / "dog" / "9.png")
    if change == "whole":
        settings["train"] = CROPPED
    load(photos, **settings)
    assert len(folders(photos)) == 2


def test_means_do_not_make_another_cache(photos: Path):
    load(photos)
    load(photos, mean=[0.1, 0.2, 0.3])
    assert len(folders(photos)) == 1


@pytest.mark.parametrize("damage", ["cut", "changed", "missing", "foreign key", "half written"])
def test_a_damaged_cache_is_named_and_built_again(photos: Path, capsys, damage: str):
    expected = pixels(load(photos))
    (place,) = folders(photos)
    stored = place / "pixels.bin"
    if damage == "cut":
        stored.write_bytes(stored.read_bytes()[:-7])
    if damage == "changed":
        content = bytearray(stored.read_bytes())
        content[300] ^= 1
        stored.write_bytes(content)
    if damage == "missing":
        (place / "sums.npy").unlink()
    if damage == "foreign key":
        about = json.loads((place / "about.json").read_text())
        (place / "about.json").write_text(json.dumps({**about, "key": "another"}))
    if damage == "half written":
        (place / "about.json").write_text("{")
    assert torch.equal(pixels(load(photos)), expected)
    said = capsys.readouterr().out
    assert said.count("\n") == 1
    assert f"The cache {place} is damaged" in said
    load(photos)
    assert capsys.readouterr().out == ""


def test_what_is_no_cache_of_ours_is_left_alone(photos: Path):
    load(photos)
    (place,) = folders(photos)
    (place / "about.json").rename(place / "precious.txt")
    with pytest.raises(ValueError, match=r"no cache that vit_hf wrote.*--data\.cache"):
        load(photos)
    assert (place / "precious.txt").is_file()


def test_a_file_in_the_place_of_the_folder_is_named(photos: Path, tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="file is a file; name a folder"):
        load(photos, cache=str(tmp_path / "file"))


def test_a_build_that_was_cut_off_leaves_nothing_that_is_taken_for_a_cache(photos: Path, monkeypatch):
    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(np, "save", stop)
        with pytest.raises(KeyboardInterrupt):
            load(photos)
    assert folders(photos) == []
    load(photos)
    (place,) = folders(photos)
    place.rename(aside_of(place))  # as a process leaves it that is killed
    load(photos)
    assert folders(photos) == [place]


def test_a_full_disk_is_said_and_leaves_nothing_behind(photos: Path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(ValueError, match=r"disk of .* is full.*--data\.cache"):
        load(photos)
    assert folders(photos) == []


def test_broken_images_are_told_by_the_cache_too(photos: Path, capsys):
    (photos / "cat" / "notes.jpg").write_text("not an image")
    for _ in range(2):
        with pytest.raises(UnreadableImage, match=r"1 of 9 images.*\n.*notes\.jpg"):
            load(photos)
        images = load(photos, on_error="skip")
        assert "notes.jpg" in capsys.readouterr().out
        assert len(images) == 8
        assert images.labels.tolist() == [0] * 4 + [1] * 4
    assert len(folders(photos)) == 1


def test_caches_lie_where_the_user_keeps_caches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.cache_folder(True) == tmp_path / "vit_hf"
    assert cache.cache_folder("~/there") == Path.home() / "there"
