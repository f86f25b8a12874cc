from functools import partial

import numpy as np
import pytest
import torch

from vit_hf.data.augment import auto_augment
from vit_hf.data.augment import color as tones
from vit_hf.data.augment.augmix import AUGMIX, augmix, augmix_draws
from vit_hf.data.augment.auto_augment import (
    RANDAUGMENT,
    TRANSFORMS,
    TRIVIALAUGMENT,
    amounts_of,
    color_jitter,
    randaugment,
    three_augment,
    trivialaugment,
)
from vit_hf.data.augment.policies import AUTOAUGMENT, POLICIES, autoaugment
from vit_hf.data.augment.random_numbers import uniform


def pictures(count: int = 6, size: int = 16) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def draws(count: int, columns: int, seed: int = 0) -> np.ndarray:
    return uniform(seed, 0, np.arange(count), columns)


MIXED = {"severity": 3, "width": 3, "depth": -1, "alpha": 1}
CHANGES = {
    "randaugment": (8, lambda pixels, own: randaugment(pixels, own, n=2, magnitude=9, noise=0.5, probability=0.5)),
    "trivialaugment": (3, trivialaugment),
    "three_augment": (7, lambda pixels, own: three_augment(pixels, own, jitter=0.3)),
    "color_jitter": (5, lambda pixels, own: color_jitter(pixels, own, [0.4, 0.4, 0.4, 0.1])),
    "augmix": (augmix_draws(3, -1), partial(augmix, operations="all", **MIXED)),
    **{f"auto_augment {name}": (5, partial(autoaugment, policy=name)) for name in POLICIES},
}


@pytest.mark.parametrize("name", CHANGES)
def test_an_image_is_changed_in_the_same_way_whatever_batch_it_is_in(name: str):
    columns, policy = CHANGES[name]
    pixels, numbers = pictures(64), draws(64, columns)
    together, order = policy(pixels, numbers), np.random.default_rng(0).permutation(64)
    assert not torch.equal(together, pixels)
    assert torch.equal(policy(pixels[order], numbers[order]), together[order])
    for row in range(0, 64, 5):
        assert torch.equal(policy(pixels[row : row + 1], numbers[row : row + 1])[0], together[row])


SPACES = {
    "randaugment": RANDAUGMENT,
    "trivialaugment": TRIVIALAUGMENT,
    "augmix": AUGMIX["all"],
    "auto_augment": AUTOAUGMENT,
}


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_every_operation_of_a_space_changes_a_picture_at_its_strongest(space: dict):
    pixels = pictures(1, 48) // 2 + 20
    for number, name in enumerate(space):
        amounts = amounts_of(space, np.array([number]), np.ones(1), -np.ones(1), (48, 48))
        changed = TRANSFORMS[name](pixels, torch.from_numpy(amounts).float())
        assert torch.equal(changed, pixels) == (name == "identity"), name


@pytest.mark.parametrize(
    ("name", "level", "amount"),
    [
        ("rotate", 0.9, 27.0),
        ("posterize", 0.9, 1.0),
        ("solarize", 0.9, 26.0),
        ("solarize_add", 0.9, 99.0),
        ("contrast", 0.9, 1.81),
        ("shear_x", 0.5, 0.15),
        ("translate_y", 1.0, 45.0),
        ("translate_x", 1.0, 18.0),
    ],
)
def test_levels_mean_what_they_mean_in_timm(name: str, level: float, amount: float):
    chosen = np.array([list(RANDAUGMENT).index(name)])
    assert amounts_of(RANDAUGMENT, chosen, np.array([level]), np.ones(1), (100, 40)) == pytest.approx(amount)


@pytest.mark.parametrize("name", CHANGES)
def test_the_frames_of_a_clip_change_alike(name: str):
    columns, change = CHANGES[name]
    clips, numbers = pictures(16).repeat_interleave(3, dim=0), draws(16, columns).repeat(3, axis=0)
    first, *others = change(clips, numbers).unflatten(0, (16, 3)).unbind(1)
    assert all(torch.equal(frame, first) for frame in others)


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize(("channels", "height", "width"), [(3, 12, 20), (1, 15, 9)])
def test_images_of_any_shape_and_of_one_color_stay_images(name: str, channels: int, height: int, width: int):
    columns, change = CHANGES[name]
    for color in (0, 77, 255):
        flat = torch.full((200, channels, height, width), color, dtype=torch.uint8)
        changed = change(flat, draws(200, columns))
        assert changed.shape == flat.shape
        assert changed.dtype == torch.uint8
        assert torch.equal(flat, torch.full_like(flat, color)), "the pixels that were passed in were written to"


def chosen_by(monkeypatch: pytest.MonkeyPatch, policy, numbers: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """What each call of `apply` was told, nothing being changed."""
    told = []
    keep = lambda pixels, names, chosen, amounts: told.append((chosen, amounts)) or pixels  # noqa: E731
    monkeypatch.setattr(auto_augment, "apply", keep)
    policy(pictures(1, 4).expand(len(numbers), -1, -1, -1), numbers)
    return told


def test_operations_are_drawn_evenly_half_of_them_occur_and_levels_spread(monkeypatch: pytest.MonkeyPatch):
    numbers = draws(6000, 8)
    told = chosen_by(monkeypatch, CHANGES["randaugment"][1], numbers)
    assert len(told) == 2
    for chosen, amounts in told:
        counts = np.bincount(chosen + 1, minlength=len(RANDAUGMENT) + 1)
        assert abs(counts[0] / 6000 - 0.5) < 0.03
        assert abs(counts[1:] / 3000 * len(RANDAUGMENT) - 1).max() < 0.25
        turned = amounts[chosen == list(RANDAUGMENT).index("rotate")]
        assert abs((turned > 0).mean() - 0.5) < 0.15
        assert abs(abs(turned).mean() - 27) < 0.3
        assert 0.8 < abs(turned).std() < 1.7  # 3 degrees for each of 0.5 magnitudes, cut off at 10


def test_trivialaugment_draws_all_levels_of_all_operations(monkeypatch: pytest.MonkeyPatch):
    ((chosen, amounts),) = chosen_by(monkeypatch, trivialaugment, draws(6000, 3))
    assert abs(np.bincount(chosen) / 6000 * len(TRIVIALAUGMENT) - 1).max() < 0.2
    turned = amounts[chosen == list(TRIVIALAUGMENT).index("rotate")]
    assert np.unique(abs(turned).round(3)).tolist() == pytest.approx(
        [135 * level / 30 for level in range(31)], abs=1e-3
    )


def test_three_augment_takes_one_of_three_and_then_jitters():
    pixels, middle = pictures(3), np.full(5, 0.5)
    numbers = np.array([[0.1, 0.5, *middle], [0.4, 0.5, *middle], [0.9, 0.0, *middle]])
    changed = three_augment(pixels, numbers, jitter=0.3)
    assert torch.equal(changed[:1], tones.gray_in_all(pixels[:1]))
    assert torch.equal(changed[1:2], tones.solarize(pixels[1:2], torch.tensor([128.0])))
    assert torch.equal(changed[2:], tones.blur(pixels[2:], torch.tensor([0.1])))


def test_jitter_follows_the_order_that_was_drawn():
    pixels = pictures(1)
    # Brighter, contrast as it is, paler, a tenth further around the circle; the last of the orders.
    numbers = np.array([[1.0, 0.5, 0.0, 0.75, 0.99]])
    expected = tones.saturation(tones.hue(pixels, torch.tensor([0.1])), torch.tensor([0.5]))
    expected = tones.brightness(tones.contrast(expected, torch.tensor([1.0])), torch.tensor([1.5]))
    assert torch.equal(color_jitter(pixels, numbers, [0.5, 0.5, 0.5, 0.2]), expected)
