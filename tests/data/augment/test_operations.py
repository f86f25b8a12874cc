"""One operation with a probability each: Pillow is the oracle."""

import numpy as np
import pytest
import torch
from einops import rearrange
from PIL import Image, ImageEnhance, ImageOps
from pydantic import ValidationError

from vit_hf.data.augment.augmentations import build_augmentation
from vit_hf.data.augment.operations import OPERATIONS
from vit_hf.errors import UserError

PIXELS = torch.randint(20, 200, (6, 3, 24, 24), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
ALWAYS, NEVER = np.full((6, 2), 0.25), np.full((6, 2), 0.999)
PILLOWS = {
    "vertical_flip": ({}, ImageOps.flip),
    "quarter_turns": ({}, lambda image: image.transpose(Image.Transpose.ROTATE_90)),  # 0.25 of 4 is one turn
    "grayscale": ({}, lambda image: image.convert("L").convert("RGB")),
    "solarize": ({"threshold": 100}, lambda image: ImageOps.solarize(image, 100)),
    "posterize": ({"bits": 3}, lambda image: ImageOps.posterize(image, 3)),
    "equalize": ({}, ImageOps.equalize),
    "auto_contrast": ({}, ImageOps.autocontrast),
    "invert": ({}, ImageOps.invert),
    "sharpness": ({"factor": 1.7}, lambda image: ImageEnhance.Sharpness(image).enhance(1.7)),
}


def test_every_operation_has_an_oracle():
    assert {*PILLOWS, "blur"} == {*OPERATIONS}


@pytest.mark.parametrize("name", PILLOWS)
def test_an_operation_is_pillows_to_a_gray_level(name: str):
    fields, by_pillow = PILLOWS[name]
    own = build_augmentation(name, {"probability": 1.0, **fields})
    changed = own(PIXELS, ALWAYS[:, : own.draws])
    for found, image in zip(changed, PIXELS, strict=True):
        expected = np.array(by_pillow(Image.fromarray(rearrange(image, "c h w -> h w c").numpy())))
        apart = rearrange(found, "c h w -> h w c").int() - torch.from_numpy(expected).int()
        assert apart.abs().max() <= (1 if name == "sharpness" else 0)
    assert not torch.equal(changed, PIXELS)


def test_a_blur_keeps_what_is_flat_and_spreads_a_point_as_a_gaussian_does():
    own = build_augmentation("blur", {"probability": 1.0, "sigma": [1.0, 1.0]})
    point = torch.zeros(1, 1, 15, 15, dtype=torch.uint8)
    point[..., 7, 7] = 255
    blurred = own(point, np.array([[0.0, 0.5]]))[0, 0]
    line = np.exp(-0.5 * np.arange(-7, 8) ** 2) / np.exp(-0.5 * np.arange(-6, 7) ** 2).sum()
    assert np.abs(blurred.numpy() - 255 * np.outer(line, line)).max() <= 0.51
    flat = torch.full((1, 3, 12, 12), 77, dtype=torch.uint8)
    assert torch.equal(own(flat, np.array([[0.0, 0.5]])), flat)


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_occurs_as_often_as_is_said_and_to_each_image_by_itself(name: str):
    own = build_augmentation(name, 0.5)
    assert torch.equal(own(PIXELS, NEVER[:, : own.draws]), PIXELS)
    some = NEVER.copy()
    some[2] = 0.3
    changed = (own(PIXELS, some[:, : own.draws]) != PIXELS).flatten(1).any(1)
    assert changed.tolist() == [False, False, True, False, False, False]


def test_quarter_turns_are_all_as_likely_and_of_square_images():
    own = build_augmentation("quarter_turns", True)
    turned = own(PIXELS[:1].expand(4, -1, -1, -1), np.array([[0, 0.1], [0, 0.3], [0, 0.6], [0, 0.9]]))
    for number, image in enumerate(turned):
        assert torch.equal(image, PIXELS[0].rot90(number, (-2, -1)))
    with pytest.raises(UserError, match="the model's are 24 x 10"):
        own(PIXELS[..., :10], ALWAYS)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [("blur", {"sigma": [0.1, 3]}, "at most 2"), ("posterize", {"bits": 9}, "8"), ("vertical_flip", 2, "1")],
)
def test_amounts_beyond_what_an_operation_does_are_refused(name, value, sentence):
    with pytest.raises((ValidationError, UserError), match=sentence):
        build_augmentation(name, value)
