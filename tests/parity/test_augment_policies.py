"""torchvision's AutoAugment, timm's RandAugment and AugMix: what operations do at a magnitude."""

import random

import numpy as np
import pytest
import torch
from PIL import Image
from timm.data import auto_augment as timms
from torchvision.transforms import AutoAugment, AutoAugmentPolicy, InterpolationMode

from vit_hf.data.augment.augmentations import build_augmentation
from vit_hf.data.augment.augmix import AUGMIX
from vit_hf.data.augment.auto_augment import RANDAUGMENT, TRANSFORMS, amounts_of
from vit_hf.data.augment.policies import AUTOAUGMENT, POLICIES, PolicyName

HEIGHT, WIDTH = 200, 400  # of which 0.45 * 0.9 are whole pixels
NAMES = {
    "Color": "saturation", "AutoContrast": "auto_contrast", "ShearX": "shear_x", "ShearY": "shear_y",
    "TranslateX": "translate_x", "TranslateY": "translate_y", "SolarizeAdd": "solarize_add",
}  # fmt: skip


def our_name(name: str) -> str:
    own = name.removesuffix("Increasing").removesuffix("Rel")
    return NAMES.get(own, own.lower())


def smooth() -> torch.Tensor:
    """-> 1 3 h w: so smooth that the border of a rounding is no other color"""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    waves = [127 + 100 * np.sin(x / 19 + y / (15 + channel)) for channel in range(3)]
    return torch.from_numpy(np.stack(waves)[None].astype(np.uint8))


PIXELS = smooth()
IMAGE = Image.fromarray(PIXELS[0].permute(1, 2, 0).numpy())
MIDDLE = (..., slice(95, 105), slice(190, 210))  # which nothing from outside reaches
GEOMETRIC = ("rotate", "shear_x", "shear_y", "translate_x", "translate_y")


def ours(space: dict, name: str, level: float, sign: float) -> torch.Tensor:
    chosen = np.array([list(space).index(name)])
    amounts = amounts_of(space, chosen, np.array([level]), np.array([sign]), (HEIGHT, WIDTH))
    return TRANSFORMS[name](PIXELS, torch.from_numpy(amounts).float())[0]


def apart(own: torch.Tensor, theirs: Image.Image, name: str) -> int:
    expected = torch.from_numpy(np.array(theirs)).permute(2, 0, 1)
    difference = (own.int() - expected.int()).abs()
    return int(difference[MIDDLE].max() if name in GEOMETRIC else difference.max())


@pytest.mark.parametrize("policy", POLICIES)
def test_a_policy_is_torchvisions(policy: PolicyName):
    theirs = AutoAugment(AutoAugmentPolicy(policy)).policies
    found = tuple(tuple((our_name(name), chance, level or 0) for name, chance, level in pair) for pair in theirs)
    assert found == POLICIES[policy]


@pytest.mark.parametrize("name", AUTOAUGMENT)
def test_an_operation_of_a_policy_is_torchvisions_at_every_magnitude(name: str, monkeypatch: pytest.MonkeyPatch):
    theirs = AutoAugment(interpolation=InterpolationMode.BILINEAR, fill=[128.0] * 3)
    word = next(word for pair in theirs.policies + other_pairs() for word, *_ in pair if our_name(word) == name)
    for magnitude in range(0, 10, 3):
        for sign in (0, 1):
            theirs.policies = [((word, 1.0, magnitude), ("Invert", 0.0, None))]
            if AUTOAUGMENT[name] is AUTOAUGMENT["invert"]:
                theirs.policies = [((word, 1.0, None), ("Invert", 0.0, None))]
            drawn = (0, torch.tensor([0.5, 0.5]), torch.tensor([sign, sign]))
            monkeypatch.setattr(theirs, "get_params", lambda count, drawn=drawn: drawn)
            # A positive translation is theirs to the right and ours to the left; either is as probable.
            own_sign = (2 * sign - 1) * (-1 if name.startswith("translate") else 1)
            found = ours(AUTOAUGMENT, name, magnitude / 9, own_sign)
            assert apart(found, theirs(IMAGE), name) <= 1, (magnitude, sign)


def other_pairs() -> list:
    return [pair for policy in ("cifar10", "svhn") for pair in AutoAugment(AutoAugmentPolicy(policy)).policies]


def amounts_by_timm(operation: timms.AugmentOp, magnitude: float) -> float:
    arguments = operation.level_fn(magnitude, {}) if operation.level_fn else ()
    (amount,) = arguments if isinstance(arguments, tuple) and arguments else (arguments or 0,)
    pixels = {"TranslateXRel": WIDTH, "TranslateYRel": HEIGHT}
    return amount * pixels.get(operation.name, 1)


@pytest.mark.parametrize("luck", [0.1, 0.9])
@pytest.mark.parametrize("magnitude", [0.0, 0.7, 3.0, 8.6, 9.0, 10.0])
def test_deits_recipe_is_randaugment_with_noise(magnitude: float, luck: float, monkeypatch: pytest.MonkeyPatch):
    theirs = timms.rand_augment_transform("rand-m9-mstd0.5-inc1")
    own = build_augmentation("randaugment", {"n": 2, "magnitude": 9, "noise": 0.5})
    assert theirs.num_layers == own.n
    assert {(op.prob, op.magnitude, op.magnitude_std) for op in theirs.ops} == {
        (own.probability, own.magnitude, own.noise)
    }
    assert [our_name(operation.name) for operation in theirs.ops] == list(RANDAUGMENT)
    monkeypatch.setattr(random, "random", lambda: luck)
    sign = np.array([-1.0 if luck > 0.5 else 1.0])
    for number, operation in enumerate(theirs.ops):
        found = amounts_of(RANDAUGMENT, np.array([number]), np.array([magnitude / 10]), sign, (HEIGHT, WIDTH))
        assert found == pytest.approx(amounts_by_timm(operation, magnitude)), operation.name


@pytest.mark.parametrize("luck", [0.1, 0.9])
def test_an_operation_at_magnitude_9_is_timms(luck: float, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(random, "random", lambda: luck)
    how = {"img_mean": (128, 128, 128), "interpolation": Image.Resampling.BILINEAR}
    for word in timms._RAND_INCREASING_TRANSFORMS:
        theirs, name = timms.AugmentOp(word, prob=1.0, magnitude=9, hparams=how), our_name(word)
        assert apart(ours(RANDAUGMENT, name, 0.9, -1.0 if luck > 0.5 else 1.0), theirs(IMAGE), name) <= 1, word


def test_the_operations_of_augmix_are_timms():
    assert {our_name(name) for name in timms._AUGMIX_TRANSFORMS} == set(AUGMIX["all"])
