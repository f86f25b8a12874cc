"""torchvision's transforms are the oracle of our single operations, and are taken as transforms of the user's own."""

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from vit_hf.data.augment.augmentations import build_augmentation
from vit_hf.data.augment.user_transform import UserTransform

PIXELS = torch.randint(0, 256, (3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
IMAGE = Image.fromarray(PIXELS.permute(1, 2, 0).numpy())
OPERATIONS = {
    "vertical_flip": ({}, v2.RandomVerticalFlip(1.0)),
    "grayscale": ({}, v2.RandomGrayscale(1.0)),
    "solarize": ({"threshold": 100}, v2.RandomSolarize(100, 1.0)),
    "posterize": ({"bits": 3}, v2.RandomPosterize(3, 1.0)),
    "equalize": ({}, v2.RandomEqualize(1.0)),
    "auto_contrast": ({}, v2.RandomAutocontrast(1.0)),
    "invert": ({}, v2.RandomInvert(1.0)),
    "sharpness": ({"factor": 1.7}, v2.RandomAdjustSharpness(1.7, 1.0)),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_is_torchvisions_of_an_image(name: str):
    fields, theirs = OPERATIONS[name]
    own = build_augmentation(name, {"probability": 1.0, **fields})
    found = own(PIXELS[None], np.zeros((1, own.draws)))[0]
    expected = torch.from_numpy(np.array(theirs(IMAGE))).permute(2, 0, 1)
    assert (found.int() - expected.int()).abs().max() <= (1 if name == "sharpness" else 0)


@pytest.mark.parametrize(
    "transform",
    [
        v2.Compose([v2.RandomResizedCrop(32), v2.ColorJitter(0.4, 0.4, 0.4), v2.RandAugment()]),
        v2.Compose([v2.ToImage(), v2.RandomRotation(20)]),
    ],
    ids=["images", "tensors"],
)
def test_a_transform_of_torchvision_is_drawn_by_the_sample(transform):
    own = UserTransform.of(transform, 3, (32, 32))
    first, again, other = (own(PIXELS, "it", seed=1, epoch=0, sample=sample) for sample in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
