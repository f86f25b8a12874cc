"""Of a film no more than a few frames are held as they were filmed, and what comes out is as if all had been."""

import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made_films import write_film

from vit_hf.data.augment.plan import AugmentationPlan
from vit_hf.data.batches import load_batches as loading
from vit_hf.data.batches.dataset import ImageBatches
from vit_hf.data.batches.load_batches import load_batches
from vit_hf.data.decode import images
from vit_hf.data.decode.preparation import ClipPreparation
from vit_hf.data.decode.processors import make_video_processor
from vit_hf.data.settings import DataSettings
from vit_hf.data.sources.open_data import open_source
from vit_hf.modality import VIDEO
from vit_hf.models import films, video_processing_timesformer
from vit_hf.models.configuration_timesformer import TimeSformerConfig

FRAMES = 12
CROP = {"random_resized_crop": {"scale": [0.3, 1.0]}}
TRAINS = [{}, CROP, {"random_clip": True}, {"flip": 0.5, **CROP, "randaugment": 5, "random_clip": True, "erase": 0.5}]


class Held:
    """Counts frames of a film that are alive, as images or as arrays of their pixels; most: of each at one time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self.images, self.arrays, self.most = set[int](), set[int](), 0
        as_filmed, as_array = films.upright_and_square, images.as_array
        monkeypatch.setattr(films, "upright_and_square", lambda stream: self.counting(as_filmed(stream), self.images))
        monkeypatch.setattr(images, "as_array", self.counting(as_array, self.arrays))

    def counting(self, make: Callable[[Any], Any], alive: set[int]) -> Callable[[Any], Any]:
        def made(given: Any) -> Any:
            one = make(given)
            alive.add(id(one))
            weakref.finalize(one, alive.discard, id(one))
            self.most = max(self.most, len(alive))
            return one

        return made


@pytest.fixture
def videos(tmp_path: Path) -> str:
    for name, count in [("a/1", 30), ("a/2", 17), ("b/1", 40), ("b/2", 12), ("b/3", 5)]:
        (tmp_path / "videos" / name).parent.mkdir(parents=True, exist_ok=True)
        write_film(tmp_path / "videos" / f"{name}.mp4", "libx264", count=count, between=2)
    return str(tmp_path / "videos")


def load(videos: str, train: dict[str, Any], **chosen: Any) -> ImageBatches:
    settings = DataSettings(name=videos, validation_fraction=0, test_fraction=0, on_error="skip", **chosen)
    config = TimeSformerConfig(image_size=16, patch_size=4, num_frames=FRAMES)
    own = ClipPreparation(make_video_processor(config), 3)
    table = open_source(settings, modality=VIDEO).splits["train"]
    return load_batches(table, own, settings, split="train", plan=AugmentationPlan.of(train), classes=2, seed=3)


def clips_of(batches: ImageBatches) -> torch.Tensor:
    """Of two epochs."""
    found = []
    for epoch in range(2):
        batches.set_epoch(epoch)
        found.append(batches.__getitems__([4, 0, 3, 2, 1])["pixel_values"])
    return torch.cat(found)


@pytest.mark.parametrize("train", TRAINS, ids=lambda train: " ".join(train) or "none")
def test_a_large_film_is_held_frame_by_frame_from_the_start_on(train, videos, monkeypatch):
    monkeypatch.setattr(loading, "LARGEST_KEPT", 1000)  # bytes, as if these films were large ones
    monkeypatch.setenv("XDG_CACHE_HOME", f"{videos}.cache")
    held = Held(monkeypatch)
    clips_of(load(videos, train))
    assert 1 <= held.most <= 2, held.most


@pytest.mark.parametrize("train", TRAINS, ids=lambda train: " ".join(train) or "none")
def test_a_film_that_is_held_frame_by_frame_gives_the_clips_of_one_that_is_kept(train, videos, monkeypatch):
    kept = load(videos, train)
    assert (kept.store is None) == ("random_clip" in train)
    monkeypatch.setattr(loading, "LARGEST_KEPT", 1000)
    anew = load(videos, train, keep_in_memory=False)
    assert anew.store is None
    assert torch.equal(clips_of(anew), clips_of(kept))


def test_a_crop_is_that_of_all_frames_held_together(videos):
    """The box is the same as of the frames in an array, and it is of each of them."""
    plan = AugmentationPlan.of(CROP)
    own = ClipPreparation(make_video_processor(TimeSformerConfig(image_size=16, patch_size=4, num_frames=FRAMES)), 3)
    footage = VIDEO.open(Path(videos) / "b/1.mp4", "a film")
    for numbers in plan.numbers(7, 3, np.arange(20)):
        view = plan.view(numbers)
        together = VIDEO.open_stored(own.whole(footage))
        assert torch.equal(own.pixels(footage, view), own.pixels(together, view))


def test_few_videos_are_tried_once_each_before_it_is_said_what_is_kept(videos, monkeypatch):
    tried = []
    monkeypatch.setattr(ClipPreparation, "whole_bytes", lambda self, footage: tried.append(footage) or 10**9)
    load(videos, CROP, check_images=False)
    assert len(tried) == 5


def test_the_processor_holds_no_more_large_frames_than_it_prepares_at_once(videos, monkeypatch):
    processor = make_video_processor(TimeSformerConfig(image_size=16, patch_size=4, num_frames=FRAMES))
    files = [f"{videos}/{name}.mp4" for name in ("b/1", "a/1", "b/3")]
    expected = processor(files, return_tensors="pt", return_metadata=True)
    monkeypatch.setattr(video_processing_timesformer, "HELD_AT_ONCE", 2 * 36 * 48 * 3)
    held = Held(monkeypatch)
    found = processor(files, return_tensors="pt", return_metadata=True)
    assert held.most <= 4, held.most
    assert torch.equal(found["pixel_values"], expected["pixel_values"])
    assert found["video_metadata"] == expected["video_metadata"]
