"""The video processor itself is the oracle."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as some
from made_images import noise, photo, save_frames, video_folders
from PIL import Image
from torch import Tensor

from vit_hf.data.augment.plan import AugmentationPlan, MixSettings
from vit_hf.data.batches.dataset import ImageBatches, ViewedItems, Views, seen_by
from vit_hf.data.batches.device import DevicePreparation
from vit_hf.data.batches.load_batches import load_batches
from vit_hf.data.decode.files import Reading
from vit_hf.data.decode.images import OpenPicture
from vit_hf.data.decode.preparation import ClipPreparation, View
from vit_hf.data.decode.processors import make_video_processor
from vit_hf.data.decode.videos import ArrayFootage, frame_name, open_footage, write_frames
from vit_hf.data.settings import DataSettings
from vit_hf.data.sources.open_data import open_source
from vit_hf.modality import VIDEO
from vit_hf.models.configuration_timesformer import TimeSformerConfig

EVERYTHING = {
    "flip": 0.5,
    "randaugment": {"n": 2, "magnitude": 9},
    "color_jitter": 0.4,
    "rotate": 20,
    "shift": 0.2,
    "erase": 1.0,
}


def preparation(size: int | tuple[int, int] = 16, frames: int = 4, **how: Any) -> ClipPreparation:
    config = TimeSformerConfig(image_size=size, patch_size=4, num_frames=frames)
    return ClipPreparation(make_video_processor(config, **how), 3)


def counted(frames: int, height: int = 8, width: int = 8) -> ArrayFootage:
    """A video of which each frame is as gray as its number."""
    return ArrayFootage(np.arange(frames, dtype=np.uint8)[:, None, None, None].repeat(height, 1).repeat(width, 2))


def grays(clip: Tensor) -> list[int]:
    """t c h w -> t"""
    return clip[:, 0, 0, 0].tolist()


@pytest.mark.parametrize("fit", ["crop", "pad", "squash"])
def test_every_way_to_fit_a_frame_is_the_processors(fit: str):
    own = preparation((16, 24), fit=fit)
    waves = np.stack([np.asarray(photo(49, 37))[shift : shift + 40] for shift in range(4)])
    expected = own.processor(waves, do_rescale=False, do_normalize=False, return_tensors="pt")["pixel_values"][0]
    assert (own.pixels(ArrayFootage(waves)).float() - expected.float()).abs().max() <= 1


def test_frames_of_sixteen_bits_are_read_in_the_range_of_the_processor(tmp_path: Path):
    own = preparation(8, 2, pixel_range=[0, 4095])
    frames = [Image.fromarray(np.full((8, 8), value, np.uint16)) for value in (0, 1024)]
    folder = save_frames(tmp_path / "video", frames)
    found = own.pixels(open_footage(folder, "video", Reading(pixel_range=own.pixel_range)))
    assert found.flatten(1).unique(dim=1).tolist() == [[0], [64]]
    given_path = own.processor(str(folder), do_rescale=False, do_normalize=False, return_tensors="pt")["pixel_values"]
    assert torch.equal(given_path[0].to(torch.uint8), found)


@pytest.mark.parametrize("sampling", ["uniform", "dense"])
@given(height=some.integers(16, 60), width=some.integers(16, 60), frames=some.integers(1, 9))
@settings(max_examples=10, deadline=None)
def test_pixels_are_those_of_the_processor_to_a_gray_level_or_rarely_two(
    sampling: str, height: int, width: int, frames: int
):
    own = preparation(sampling=sampling, sampling_rate=2)
    waves = np.stack([np.asarray(photo(height + 9, width))[shift : shift + height] for shift in range(frames)])
    expected = own.processor(waves, do_rescale=False, do_normalize=False, return_tensors="pt")["pixel_values"][0]
    found = own.pixels(ArrayFootage(waves))
    assert found.shape == expected.shape == (4, 3, 16, 16)
    apart = (found.float() - expected.float()).abs()
    assert apart.max() <= 2  # both passes of a resizing round; 19 of the 2,025 sizes have a pixel that is two apart
    assert (apart > 1).float().mean() < 0.004
    assert apart.mean() < 0.002 * 255


def test_normalized_pixels_are_the_processors_own():
    own = preparation()
    frames = np.stack([np.asarray(noise(seed, 16)) for seed in range(4)])
    found = own.normalize_(own.pixels(ArrayFootage(frames)).float().div_(255))
    torch.testing.assert_close(found, own.processor(frames, return_tensors="pt")["pixel_values"][0])


def test_a_clip_is_of_the_part_of_a_video_that_was_drawn():
    own = preparation(8, sampling="dense", sampling_rate=2)
    assert grays(own.pixels(counted(17), View(place=0.0))) == [0, 2, 4, 7]
    assert grays(own.pixels(counted(17), View(place=1.0))) == [9, 11, 13, 16]
    assert grays(own.pixels(counted(4), View(place=1.0))) == [0, 1, 2, 3]  # as many as there are: they are the clip


def test_a_random_clip_moves_with_the_epoch_and_the_sample_alone(tmp_path: Path):
    name = str(video_folders(tmp_path, {"a": 3, "b": 3}, frames=20))
    chosen = DataSettings(name=name, frame_sampling="dense", sampling_rate=1)
    own = preparation(8, sampling="dense", sampling_rate=1)
    plan = AugmentationPlan.of({"random_clip": True})
    table = open_source(chosen, modality=VIDEO).splits["train"]
    batches = load_batches(table, own, chosen, split="train", plan=plan, classes=2)
    first = batches.__getitems__([0, 1, 2, 3])["pixel_values"]
    assert torch.equal(batches.__getitems__([2])["pixel_values"][0], first[2])
    batches.set_epoch(1)
    assert not torch.equal(batches.__getitems__([0, 1, 2, 3])["pixel_values"], first)
    from_files = ImageBatches(table, own, plan=plan, classes=2)
    assert torch.equal(from_files.__getitems__([0, 1, 2, 3])["pixel_values"], first)  # whether stored or not


@pytest.mark.parametrize("train", [*({name: value} for name, value in EVERYTHING.items()), EVERYTHING])
def test_a_clip_that_stands_still_stands_still_after_augmentation(train: dict[str, Any]):
    plan = AugmentationPlan.of(train)
    finish = DevicePreparation(preparation(), plan, classes=2)
    still = torch.stack([torch.from_numpy(np.array(noise(seed, 16))).permute(2, 0, 1) for seed in range(6)])
    numbers = plan.numbers(0, 0, np.arange(6))
    batch = {"pixel_values": still[:, None].repeat(1, 4, 1, 1, 1), "labels": torch.arange(6) % 2, "numbers": numbers}
    clips = finish(batch)["pixel_values"]
    assert torch.equal(clips, clips[:, :1].expand_as(clips))
    # Each frame is what the image of the same numbers becomes.
    images = finish({"pixel_values": still, "labels": batch["labels"], "numbers": numbers})["pixel_values"]
    assert torch.equal(clips[:, 0], images)


def test_clips_are_mixed_as_wholes():
    plan = AugmentationPlan.of({}, MixSettings(mixup=0.8, cutmix=1.0))
    finish = DevicePreparation(preparation(), plan, classes=2)
    pixels = torch.randint(0, 256, (8, 4, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    numbers, labels = plan.numbers(0, 0, np.arange(8)), torch.tensor([0, 1] * 4)
    mixed = finish({"pixel_values": pixels, "labels": labels, "numbers": numbers})
    assert mixed["pixel_values"].shape == pixels.shape
    assert mixed["labels"].shape == (8, 2)
    for frame in range(4):
        alone = finish({"pixel_values": pixels[:, frame], "labels": labels, "numbers": numbers})
        torch.testing.assert_close(mixed["pixel_values"][:, frame], alone["pixel_values"])
        torch.testing.assert_close(mixed["labels"], alone["labels"])


def test_views_are_clips_over_the_video_and_parts_from_side_to_side():
    own = preparation(8, frames=2, sampling="dense", sampling_rate=1)
    wide = np.zeros((10, 8, 24, 1), dtype=np.uint8)
    wide[:] = np.arange(24)[:, None]  # each column as gray as its number
    wide += 100 * (np.arange(10) >= 5).astype(np.uint8)[:, None, None, None]
    seen = seen_by(Views(2, 3), own, ArrayFootage(wide))
    assert seen.shape == (6, 2, 3, 8, 8)
    assert seen[:, 0, 0, 0, 0].tolist() == [0, 8, 16, 100, 108, 116]
    tall = seen_by(Views(1, 3), own, ArrayFootage(wide.transpose(0, 2, 1, 3)))
    assert tall[:, 0, 0, 0, 0].tolist() == [0, 8, 16]


def test_one_view_is_what_is_seen_otherwise(tmp_path: Path):
    name = str(video_folders(tmp_path, {"a": 2, "b": 2}, size=12))
    own, chosen = preparation(8), DataSettings(name=name)
    table = open_source(chosen, modality=VIDEO).splits["train"]
    batches = load_batches(table, own, chosen, split="train")
    viewed = ViewedItems(table, own, Views())
    assert torch.equal(viewed.__getitems__([0, 3])["pixel_values"], batches.__getitems__([0, 3])["pixel_values"])


def test_a_cache_knows_a_frame_that_has_changed(tmp_path: Path):
    videos = video_folders(tmp_path / "videos", {"a": 2, "b": 2}, frames=4)
    chosen = DataSettings(name=str(videos), cache=str(tmp_path / "cache"))
    own = preparation(8)

    def load() -> Tensor:
        table = open_source(chosen, modality=VIDEO).splits["train"]
        return load_batches(table, own, chosen, split="train").__getitems__([0, 1, 2, 3])["pixel_values"]

    first = load()
    assert torch.equal(load(), first)
    assert len([path for path in (tmp_path / "cache").iterdir() if path.is_dir()]) == 1
    noise(77, 8).resize((9, 9)).save(videos / "a" / "0" / "frame_2.png")
    assert not torch.equal(load()[0, 2], first[0, 2])


def test_a_preparation_is_of_what_the_processor_takes():
    assert isinstance(VIDEO.preparation(preparation().processor, 3), ClipPreparation)


def test_a_processor_that_does_not_cut_is_refused():
    processor = preparation().processor
    processor.do_center_crop = False
    with pytest.raises(ValueError, match="do_center_crop"):
        ClipPreparation(processor, 3)


def test_a_folder_of_frames_is_footage_in_the_order_of_its_numbers(tmp_path: Path):
    frames = [noise(number, 8) for number in range(11)]
    footage = open_footage(save_frames(tmp_path / "video", frames), "video")
    assert len(footage) == 11
    found = [picture.pixels(3) for picture in footage.pictures([10, 2, 10])]
    for pixels, number in zip(found, (10, 2, 10), strict=True):
        np.testing.assert_array_equal(pixels, np.asarray(frames[number]))


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        (None, ["000.png", "007.png", "1234.png"]),
        ("img_*.png", ["img_000.png", "img_007.png", "img_1234.png"]),
        ("img_?????.bmp", ["img_00000.bmp", "img_00007.bmp", "img_01234.bmp"]),
        ("*", ["000", "007", "1234"]),
        ("*_rgb_*.png", ["_rgb_000.png", "_rgb_007.png", "_rgb_1234.png"]),
        ("[a-c]_*.png", ["a_000.png", "a_007.png", "a_1234.png"]),
        ("frame[0-9][0-9].png", ["frame00.png", "frame07.png", None]),
        ("x[!ab]?[5-9].png", ["x005.png", "x075.png", None]),
        ("still.png", ["still.png", None, None]),
    ],
)
def test_saved_frames_have_names_that_their_pattern_takes(pattern: str | None, names: list[str | None], tmp_path: Path):
    assert [frame_name(pattern, number) for number in (0, 7, 1234)] == names
    frames = [noise(seed, 12) for seed in range(1 if pattern == "still.png" else 6)]
    Image.new("RGB", (9, 9)).save(tmp_path / ".other.png")
    write_frames([OpenPicture(frame) for frame in frames], tmp_path, pattern)
    found = open_footage(tmp_path, "saved", Reading(frames=pattern))
    for frame, picture in zip(frames, found.pictures(range(len(found))), strict=True):
        assert np.array_equal(picture.pixels(3), np.asarray(frame.convert("RGB")))
