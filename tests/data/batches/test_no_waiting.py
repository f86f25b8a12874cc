"""Finishing a batch on a device never waits for it.

The meta device stands for one: it has no values, so that whoever asks for one fails, and a copy that waits is seen.
"""

from typing import Any

import numpy as np
import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from vit_hf import VisionTransformerConfig
from vit_hf.data.augment.augmentations import AUGMENTATIONS
from vit_hf.data.augment.plan import AugmentationPlan, MixSettings
from vit_hf.data.batches.device import DevicePreparation
from vit_hf.data.decode.preparation import Preparation
from vit_hf.data.decode.processors import make_image_processor

IMAGES = 64
STRENGTHS = {"pad_and_crop": 4, "auto_augment": "cifar10", "shift": 0.1, "rotate": 10, "zoom": 0.2, "shear": 0.1}
ON_DEVICE = [name for name, kind in AUGMENTATIONS.items() if kind.phase != "decoding"]


class NoWaiting(TorchDispatchMode):
    """Refuses copies to the device that wait for it."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func is torch.ops.aten._to_copy.default:
            there = torch.device(kwargs.get("device") or args[0].device)
            if there.type == "meta" and args[0].device.type == "cpu":
                assert kwargs.get("non_blocking"), f"a copy of {tuple(args[0].shape)} waits"
        return func(*args, **kwargs)


class NoNumbers(TorchFunctionMode):
    """Refuses tensors that are made on the device of numbers that lie here: such a copy waits as well."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func in (torch.tensor, torch.as_tensor):
            assert str(kwargs.get("device") or "cpu") == "cpu", f"torch.tensor({args}) waits"
        return func(*args, **kwargs)


def finished(train: dict[str, Any], side: int = 32) -> dict[str, torch.Tensor]:
    config = VisionTransformerConfig(image_size=side, patch_size=8)
    plan = AugmentationPlan.of(train, MixSettings(mixup=0.8, cutmix=1.0))
    finish = DevicePreparation(Preparation(make_image_processor(config), 3), plan, classes=10)
    batch: dict[str, Any] = {
        "pixel_values": torch.empty(IMAGES, 3, side, side, dtype=torch.uint8, device="meta"),
        "labels": torch.empty(IMAGES, dtype=torch.int64, device="meta"),
        "numbers": plan.numbers(0, 0, np.arange(IMAGES)),
    }
    with NoWaiting(), NoNumbers():
        return finish(batch)


@pytest.mark.parametrize("name", ON_DEVICE)
def test_no_augmentation_waits_for_the_device(name):
    value = STRENGTHS.get(name, 0.5 if AUGMENTATIONS[name].strength == ("probability",) else True)
    batch = finished({name: value})
    assert batch["pixel_values"].shape == (IMAGES, 3, 32, 32)
    assert batch["labels"].shape == (IMAGES, 10)


def test_what_waits_is_seen():
    with pytest.raises(AssertionError, match="waits"), NoWaiting():
        torch.zeros(3).to("meta")
    with pytest.raises(AssertionError, match="waits"), NoNumbers():
        torch.tensor([1, 2], device="meta")
    with pytest.raises(Exception, match=r"meta"), NoWaiting():
        torch.zeros(3, device="meta").sum().item()
