import numpy as np
import pytest
import torch

from vit_hf.data.augment.auto_augment import trivialaugment
from vit_hf.data.augment.geometry import apply_affine, identity_matrices, rotation_matrices, shift_matrices
from vit_hf.data.augment.plan import AugmentationPlan, MixSettings, describe

EVERYTHING = {
    "random_resized_crop": {"scale": [0.3, 1.0]},
    "pad_and_crop": 2,
    "flip": 0.5,
    "auto_augment": "cifar10",
    "randaugment": {"n": 2, "magnitude": 9, "noise": 0.5},
    "augmix": {"severity": 5, "width": 2},
    "shift": 0.1,
    "rotate": 10,
    "trivialaugment": True,
    "three_augment": 0.3,
    "color_jitter": 0.4,
    "zoom": 0.1,
    "shear": 0.1,
    "erase": {"probability": 0.5, "fill": "pixel"},
}


def pictures(count: int) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, 12, 12), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_moves_follow_one_another_in_the_order_of_the_recipe_as_one():
    pixels, numbers = pictures(1), np.array([[0.9, 0.2, 0.8, 0.5]])
    moved = AugmentationPlan.of({"shift": 0.2, "rotate": 40}).augment(pixels, numbers)
    own = torch.from_numpy(numbers).float()
    expected = apply_affine(
        pixels / 255, identity_matrices(1) @ shift_matrices(own[:, :2], 0.2) @ rotation_matrices(own[:, 2:], 40)
    )
    assert torch.equal(moved, expected)


def test_what_follows_a_move_is_in_bytes_again():
    pixels, numbers = pictures(2), np.random.default_rng(0).random((2, 5))
    moved = AugmentationPlan.of({"shift": 0.2}).augment(pixels, numbers[:, :2])
    expected = trivialaugment((moved * 255).round().to(torch.uint8), numbers[:, 2:]) / 255
    assert torch.equal(AugmentationPlan.of({"shift": 0.2, "trivialaugment": True}).augment(pixels, numbers), expected)


def test_an_augmentation_at_the_end_changes_nothing_that_the_others_draw():
    few, more = (
        AugmentationPlan.of({"flip": 0.5, "shift": 0.1}),
        AugmentationPlan.of({"flip": 0.5, "shift": 0.1, "erase": 1}),
    )
    samples = np.arange(5)
    assert np.array_equal(more.numbers(0, 1, samples)[:, : few.draws], few.numbers(0, 1, samples))


def test_all_of_it_together_gives_each_image_its_own_whatever_the_batch():
    plan = AugmentationPlan.of(EVERYTHING, MixSettings(mixup=0.8, cutmix=1.0))
    pixels, numbers = pictures(12), plan.numbers(0, 3, np.arange(12))

    def whole(rows) -> torch.Tensor:
        return plan.augment_normalized(plan.augment(pixels[rows], numbers[rows]), numbers[rows])

    together = whole(np.arange(12))
    for rows in ([7], [3, 11, 0], [5, 4, 3, 2, 1]):
        torch.testing.assert_close(whole(rows), together[rows], atol=1e-6, rtol=0)


@pytest.mark.parametrize("train", [{"auto_augment": "imagenet"}, {"augmix": True}, {"randaugment": {"noise": 0.5}}])
def test_what_goes_on_in_the_middle_of_an_epoch_is_as_it_would_have_been(train: dict):
    def of_samples(samples: np.ndarray, epoch: int = 2) -> torch.Tensor:
        plan = AugmentationPlan.of(train)
        return plan.augment(pictures(12)[samples], plan.numbers(3, epoch, samples))

    whole = of_samples(np.arange(12))
    assert torch.equal(of_samples(np.arange(7, 12)), whole[7:])
    assert not torch.equal(of_samples(np.arange(12), epoch=1), whole)


def test_the_shares_of_a_plan_without_steps_are_the_pixels():
    pixels = pictures(2)
    assert torch.equal(AugmentationPlan().augment(pixels, np.zeros((2, 0))), pixels / 255)


def test_augmentations_are_said_in_words():
    assert describe({"flip": 0.5, "randaugment": {"n": 2, "magnitude": 9}, "trivialaugment": True}) == (
        "flip 0.5, randaugment (n 2, magnitude 9), trivialaugment"
    )
    assert describe({"random_resized_crop": {"scale": [0.08, 1]}}) == "random_resized_crop (scale 0.08 to 1)"


@pytest.mark.parametrize("mixing", [{"mixup": 0.8}, {"cutmix": 1.0}, {"mixup": 0.2, "probability": 0.5}])
def test_mixed_labels_are_shares(mixing: dict):
    plan = AugmentationPlan.of({}, MixSettings(**mixing))
    numbers = plan.numbers(0, 0, np.arange(6))
    pixels, labels = plan.mix(torch.rand(6, 3, 4, 4), torch.arange(6), numbers, 6)
    assert pixels.shape == (6, 3, 4, 4)
    assert labels.sum(1).tolist() == pytest.approx([1] * 6)
