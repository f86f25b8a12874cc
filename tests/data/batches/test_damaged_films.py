"""A film with a damaged frame stops training by its name, or is left out of it: as `data.on_error` says."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made_films import damaged_film, write_film

from vit_hf.data.augment.plan import AugmentationPlan
from vit_hf.data.batches.dataset import ImageBatches
from vit_hf.data.batches.load_batches import load_batches
from vit_hf.data.decode.files import UnreadableImage
from vit_hf.data.decode.preparation import ClipPreparation
from vit_hf.data.settings import DataSettings
from vit_hf.data.sources.open_data import open_source
from vit_hf.modality import VIDEO
from vit_hf.models.configuration_timesformer import TimeSformerConfig
from vit_hf.models.frame_sampling import Sampling

BROKEN = "b/2.mp4"


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(params=["marked", "raises"])
def videos(request, tmp_path: Path) -> Path:
    """Five films; frame 26 of one is damaged, and with it those up to the next key frame, of which there is none."""
    for name in ("a/1", "a/2", "b/1", "b/3"):
        (tmp_path / "videos" / name).parent.mkdir(parents=True, exist_ok=True)
        write_film(tmp_path / "videos" / f"{name}.mp4", "libx264", count=30)
    damaged_film(tmp_path / "videos" / BROKEN, 26, request.param)
    return tmp_path / "videos"


def load(videos: Path, train: dict[str, Any], sampling: Sampling, **chosen: Any) -> ImageBatches:
    """A dense clip is of a few frames in the middle, which are whole; one that is uniform is of frames of all parts."""
    everything: dict[str, Any] = {"name": str(videos), "validation_fraction": 0, "test_fraction": 0}
    settings = DataSettings(**everything, frame_sampling=sampling, sampling_rate=1, **chosen)
    config = TimeSformerConfig(image_size=16, patch_size=4, num_frames=4)
    own = ClipPreparation(VIDEO.processor_for(config, settings), 3)
    table = open_source(settings, modality=VIDEO).splits["train"]
    return load_batches(table, own, settings, split="train", plan=AugmentationPlan.of(train), classes=2)


def names(batches: ImageBatches) -> list[str]:
    return sorted(str(Path(batches.table.name_of(row))).split("videos/")[-1] for row in range(len(batches)))


WAYS: dict[str, dict[str, Any]] = {
    "kept": {"keep_in_memory": True},
    "cached": {"cache": True, "keep_in_memory": False},
    "checked": {"keep_in_memory": False},
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("train", [{}, {"random_resized_crop": {"scale": [0.5, 1.0]}}], ids=["whole", "crop"])
def test_a_damaged_film_stops_the_start_by_its_name_or_is_left_out(train, way, videos, capsys):
    with pytest.raises(UnreadableImage, match=rf"(?s)1 of 5 videos.*{BROKEN}: .*on_error skip"):
        load(videos, train, "uniform", on_error="fail", **WAYS[way])
    batches = load(videos, train, "uniform", on_error="skip", **WAYS[way])
    assert BROKEN in capsys.readouterr().out
    assert names(batches) == ["a/1.mp4", "a/2.mp4", "b/1.mp4", "b/3.mp4"]
    assert batches.__getitems__([0, 1, 2, 3])["pixel_values"].shape == (4, 4, 3, 16, 16)
    assert batches.skipped == 0


def each_clip(batches: ImageBatches) -> list[dict[str, torch.Tensor]]:
    found = []
    for epoch in range(12):
        batches.set_epoch(epoch)
        found.append(batches.__getitems__(range(5)))
    return found


def test_a_film_of_which_a_later_clip_is_damaged_stops_the_run_by_its_name(videos):
    batches = load(videos, {"random_clip": True}, "dense", on_error="fail")
    assert len(batches) == 5
    with pytest.raises(UnreadableImage, match=rf"{BROKEN}: "):
        each_clip(batches)


def test_a_clip_that_is_damaged_gives_way_to_one_of_the_next_film(videos):
    batches = load(videos, {"random_clip": True}, "dense", on_error="skip")
    broken = names(batches).index(BROKEN)
    assert len(batches) == 5
    clips = each_clip(batches)
    assert batches.skipped == 1
    numbers = [batches.plan.numbers(0, epoch, np.arange(5)) for epoch in range(12)]
    late = [batches.plan.view(drawn[broken]).place * 32 + 3 >= 26 for drawn in numbers]  # of 36 frames
    assert 0 < sum(late) < 12
    for clip, drawn, damaged in zip(clips, numbers, late, strict=True):
        row = (broken + 1) % 5 if damaged else broken
        alone = batches.preparation.pixels(batches.open(row), batches.plan.view(drawn[broken]))
        expected = batches.preparation.normalize_(alone.float().div_(255))
        assert torch.equal(clip["pixel_values"][broken], expected)


def test_without_a_check_a_damaged_film_is_heard_of_when_it_comes_up(videos):
    batches = load(videos, {}, "uniform", on_error="fail", check_images=False, keep_in_memory=False)
    with pytest.raises(UnreadableImage, match=rf"{BROKEN}: "):
        batches.__getitems__(range(5))
    batches = load(videos, {}, "uniform", on_error="skip", check_images=False, keep_in_memory=False)
    assert len(batches.__getitems__(range(5))["pixel_values"]) == 5
    assert batches.skipped == 1
