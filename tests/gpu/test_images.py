"""Batches of bytes are finished on the device as they are on the CPU, by the same random numbers.

Differences are in gray levels, 1/255 of a share. What interpolates or rounds may land a level beside, and an operation
that follows such a one may make more of it, as posterize does of a level that crosses from one step to the next; of
that there may be one pixel in a thousand.
"""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from vit_hf import TimeSformerConfig, VisionTransformerConfig
from vit_hf.data.augment.augmentations import AUGMENTATIONS
from vit_hf.data.augment.plan import AugmentationPlan, MixSettings
from vit_hf.data.batches.device import DevicePreparation
from vit_hf.data.decode.preparation import ClipPreparation, Preparation
from vit_hf.data.decode.processors import make_image_processor, make_video_processor

SIDE, BATCH, CLASSES = 48, 96, 10
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
LEVEL = 1 + 1e-3  # and the rounding of the float32 that it is told in
RARE = 1e-3

# What is not bytes any more is chosen before anything comes to a device.
CASES: dict[str, list[Any]] = {
    "flip": [0.5],
    "pad_and_crop": [4, {"margin": 6, "padding": "zeros"}],
    "auto_augment": ["imagenet", "cifar10", "svhn"],
    "randaugment": [{"n": 2, "magnitude": 9, "noise": 0.5}],
    "trivialaugment": [True],
    "augmix": [3, {"severity": 8, "operations": "paper"}],
    "three_augment": [0.3],
    "color_jitter": [{"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1}],
    "vertical_flip": [0.5],
    "quarter_turns": [1.0],
    "blur": [1.0],
    "grayscale": [0.5],
    "solarize": [1.0],
    "posterize": [1.0],
    "sharpness": [1.0],
    "equalize": [1.0],
    "auto_contrast": [1.0],
    "invert": [0.5],
    "erase": [{"probability": 1.0, "fill": fill} for fill in ("pixel", "color", "zeros")],
    "shift": [0.2],
    "rotate": [30],
    "zoom": [0.3],
    "shear": [0.3],
}
EXACT = (
    "flip",
    "pad_and_crop",
    "vertical_flip",
    "quarter_turns",
    "grayscale",
    "solarize",
    "posterize",
    "invert",
    "erase",
)
EVERYTHING = {name: values[0] for name, values in CASES.items()}


def pictures(count: int = BATCH) -> Tensor:
    """b c h w: half of them noise, half of them smooth"""
    numbers = torch.Generator().manual_seed(0)
    rough = torch.randint(0, 256, (count // 2, 3, SIDE, SIDE), dtype=torch.uint8, generator=numbers)
    coarse = torch.rand(count - count // 2, 3, 5, 5, generator=numbers) * 255
    smooth = torch.nn.functional.interpolate(coarse, (SIDE, SIDE), mode="bilinear").to(torch.uint8)
    return torch.cat([rough, smooth])[torch.randperm(count, generator=numbers)]


def image_preparation() -> Preparation:
    config = VisionTransformerConfig(image_size=SIDE, patch_size=8)
    return Preparation(make_image_processor(config, mean=MEAN, std=STD), 3)


def both(
    device: torch.device, train: dict[str, Any], mixing: MixSettings | None = None
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The finished batch from the device, and from the CPU."""
    plan = AugmentationPlan.of(train, mixing)
    numbers, labels = plan.numbers(0, 0, np.arange(BATCH)), torch.arange(BATCH) % CLASSES
    batch: dict[str, Any] = {"pixel_values": pictures(), "labels": labels}
    batch |= {"numbers": numbers} if plan.draws else {}
    expected = DevicePreparation(image_preparation(), plan, classes=CLASSES)(batch)
    there = {name: value.to(device) if isinstance(value, Tensor) else value for name, value in batch.items()}
    found = DevicePreparation(image_preparation(), plan, classes=CLASSES)(there)
    assert found["pixel_values"].device.type == device.type
    return {name: value.cpu() for name, value in found.items()}, expected


def levels_apart(found: Tensor, expected: Tensor) -> Tensor:
    """b (t) c h w -> the same: differences of normalized pixels in gray levels"""
    return (found.double() - expected.double()).abs() * torch.tensor(STD).reshape(3, 1, 1) * 255


def assert_few_apart(what: str, found: Tensor, expected: Tensor) -> None:
    apart = levels_apart(found, expected)
    beside, beyond = (apart > 1e-3).double().mean().item(), (apart > LEVEL).double().mean().item()
    said = (
        f"{what}: {beside:.2%} of all numbers differ, {beyond:.4%} by more than a level, the most by {apart.max():.2f}"
    )
    assert beyond < RARE, said


def test_rescaling_and_normalizing_give_the_same_bits(device: torch.device):
    found, expected = both(device, {})
    different = (found["pixel_values"] != expected["pixel_values"]).double().mean().item()
    assert different == 0, f"{different:.2%} of all numbers differ in their last bits"
    assert torch.equal(found["labels"], expected["labels"])


def test_every_augmentation_of_bytes_and_of_normalized_pixels_is_compared():
    assert {*CASES} == {name for name, kind in AUGMENTATIONS.items() if kind.phase != "decoding"}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in CASES.items() for value in values])
def test_an_augmentation_draws_and_does_the_same(device: torch.device, name: str, value: Any):
    found, expected = both(device, {name: value})
    if name in EXACT:
        different = (found["pixel_values"] != expected["pixel_values"]).double().mean().item()
        assert different == 0, f"{name} {value}: {different:.2%} of all numbers differ, and it only moves or looks up"
    assert_few_apart(f"{name} {value}", found["pixel_values"], expected["pixel_values"])


@pytest.mark.parametrize("mixing", [{"mixup": 0.8}, {"cutmix": 1.0}, {"mixup": 0.8, "cutmix": 1.0, "probability": 0.7}])
def test_images_and_labels_are_mixed_alike(device: torch.device, mixing: dict[str, float]):
    found, expected = both(device, {}, MixSettings(**mixing))
    for name in ("pixel_values", "labels"):
        apart = (found[name] - expected[name]).abs().max().item()
        assert apart < 1e-5, f"{mixing}: {name} are {apart:.2e} apart"


def test_all_of_it_in_a_row_differs_in_few_pixels(device: torch.device):
    """Several of them make much of a level, so that the few in which each rounds differently add up."""
    found, expected = both(device, EVERYTHING, MixSettings(mixup=0.8, cutmix=1.0))
    beyond = (levels_apart(found["pixel_values"], expected["pixel_values"]) > LEVEL).double().mean().item()
    assert beyond < 0.05, f"{beyond:.2%} of all numbers differ by more than a level"
    assert (found["labels"] - expected["labels"]).abs().max() < 1e-5


def test_all_frames_of_a_clip_are_finished_alike(device: torch.device):
    config = TimeSformerConfig(image_size=SIDE, patch_size=8, num_frames=4)
    plan = AugmentationPlan.of({"flip": 0.5, "trivialaugment": True, "erase": 0.5}, MixSettings(cutmix=1.0))
    preparation = ClipPreparation(make_video_processor(config, mean=MEAN, std=STD), 3)
    finish = DevicePreparation(preparation, plan, classes=CLASSES)
    clips = pictures().reshape(BATCH // 4, 4, 3, SIDE, SIDE)
    numbers, labels = plan.numbers(0, 0, np.arange(len(clips))), torch.arange(len(clips)) % CLASSES
    expected = finish({"pixel_values": clips, "labels": labels, "numbers": numbers})
    found = finish({"pixel_values": clips.to(device), "labels": labels.to(device), "numbers": numbers})
    assert_few_apart("clips", found["pixel_values"].cpu(), expected["pixel_values"])
    assert (found["labels"].cpu() - expected["labels"]).abs().max() < 1e-5


def test_images_that_lie_on_the_device_are_taken_by_their_rows(device: torch.device):
    plan, rows = AugmentationPlan.of({"flip": 0.5}), torch.tensor([5, 0, 7, 3])
    finish = DevicePreparation(image_preparation(), plan, classes=CLASSES, resident=pictures())
    numbers, labels = plan.numbers(0, 0, rows.numpy()), torch.arange(4)
    found = finish({"rows": rows.to(device), "labels": labels.to(device), "numbers": numbers})
    expected = finish({"pixel_values": pictures()[rows], "labels": labels, "numbers": numbers})
    assert finish.resident is not None
    assert finish.resident.device.type == device.type
    assert torch.equal(found["pixel_values"].cpu(), expected["pixel_values"])
