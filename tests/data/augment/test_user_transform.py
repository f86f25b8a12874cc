"""A function of the user's own: how it takes images is found out, and what it draws depends on the sample alone."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from made_images import class_folders
from PIL import Image, ImageOps
from torch.utils.data import DataLoader

from vit_hf.data.augment.plan import AugmentationPlan
from vit_hf.data.augment.user_transform import UserTransform
from vit_hf.data.batches.dataset import ImageBatches, collate
from vit_hf.data.batches.load_batches import load_batches
from vit_hf.data.decode.preparation import Preparation
from vit_hf.data.decode.processors import make_image_processor
from vit_hf.data.settings import DataSettings
from vit_hf.data.sources.open_data import open_source
from vit_hf.errors import UserError
from vit_hf.models.configuration_vit import VisionTransformerConfig

PIXELS = torch.randint(0, 256, (3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


class LikeAlbumentations:
    """Takes `image=` alone, gives a mapping, and draws from a generator of its own."""

    def __init__(self) -> None:
        self.generator = np.random.default_rng(0)

    def set_random_seed(self, seed: int) -> None:
        self.generator = np.random.default_rng(seed)

    def __call__(self, *args, image=None, **data):
        if args or image is None:
            raise KeyError("You have to pass data to augmentations as named arguments")
        return {"image": np.roll(image[:, ::-1], self.generator.integers(8), axis=0)}


def as_tensors(image):
    assert isinstance(image, torch.Tensor)
    return image.flip(-1)


FLIPS = {
    "pillow": ImageOps.mirror,
    "a tensor": as_tensors,
    "an array in and out": lambda image: np.asarray(image)[:, ::-1],
}


def used(transform, *, sample: int = 0, epoch: int = 0, seed: int = 0, pixels: torch.Tensor = PIXELS) -> torch.Tensor:
    own = UserTransform.of(transform, pixels.shape[-3], (8, 8))
    return own(pixels, "cat/1.jpg", seed=seed, epoch=epoch, sample=sample)


@pytest.mark.parametrize("name", FLIPS)
def test_whatever_a_transform_takes_is_found_out(name: str):
    assert torch.equal(used(FLIPS[name]), PIXELS.flip(-1))


def test_a_gray_image_stays_one():
    assert torch.equal(used(ImageOps.mirror, pixels=PIXELS[:1]), PIXELS[:1].flip(-1))


def test_a_transform_of_albumentations_draws_by_the_sample():
    own = UserTransform.of(LikeAlbumentations(), 3, (8, 8))
    rolled = {PIXELS.flip(-1).roll(shift, 1).numpy().tobytes() for shift in range(8)}
    found = [own(PIXELS, "it", seed=1, epoch=0, sample=sample) for sample in range(8)]
    assert {pixels.numpy().tobytes() for pixels in found} <= rolled
    assert len({pixels.numpy().tobytes() for pixels in found}) > 2
    assert torch.equal(own(PIXELS, "it", seed=1, epoch=0, sample=5), found[5])


def jitter(image: Image.Image) -> Image.Image:
    shift = random.random() + np.random.random() + float(torch.rand(()))  # noqa: NPY002
    return Image.fromarray((np.asarray(image) * (shift / 3)).astype(np.uint8))


def seed_all() -> None:
    torch.manual_seed(7)
    random.seed(7)
    np.random.seed(7)  # noqa: NPY002


def test_every_generator_is_seeded_by_seed_epoch_and_sample_and_left_as_it_was():
    seed_all()
    expected = random.random(), np.random.random(), float(torch.rand(()))  # noqa: NPY002
    seed_all()
    first = used(jitter, sample=3, epoch=1, seed=2)
    assert (random.random(), np.random.random(), float(torch.rand(()))) == expected  # noqa: NPY002
    assert torch.equal(used(jitter, sample=3, epoch=1, seed=2), first)
    for sample, epoch, seed in ((4, 1, 2), (3, 2, 2), (3, 1, 3)):
        assert not torch.equal(used(jitter, sample=sample, epoch=epoch, seed=seed), first)


def test_all_frames_of_a_clip_are_changed_alike():
    clip = PIXELS.expand(4, -1, -1, -1)
    changed = used(jitter, pixels=clip)
    assert torch.equal(changed, changed[:1].expand_as(clip))


def broken_for_dark(image: Image.Image) -> Image.Image:
    if np.asarray(image).max() == 0:
        raise ZeroDivisionError("no contrast")
    return image


@pytest.mark.parametrize(
    ("transform", "sentence"),
    [
        (broken_for_dark, "cat/1.jpg: the transform fails: ZeroDivisionError: no contrast"),
        (lambda image: image.resize((4, 5)), "cat/1.jpg: the transform gives 5 x 4 pixels, and the model takes 8 x 8"),
    ],
)
def test_what_goes_wrong_names_the_image(transform, sentence):
    with pytest.raises(UserError, match=sentence):
        used(transform, pixels=torch.zeros(3, 8, 8, dtype=torch.uint8))


@pytest.mark.parametrize(
    ("transform", "sentence"),
    [
        (5, "transform=5 cannot be called"),
        (lambda image: torch.zeros(3, 8, 8), "float32 numbers, and not bytes.*leave out what scales or normalizes"),
        (lambda image: None, "given an image of Pillow: it gives None"),
        (lambda image: image.convert("L"), "1 channels, and the model takes 3"),
        (lambda: None, "takes 0 positional arguments but 1 was given"),
    ],
)
def test_what_is_no_transform_is_refused_before_training(transform, sentence):
    with pytest.raises(UserError, match=sentence):
        UserTransform.of(transform, 3, (8, 8))


def load(folder: Path, *, transform=None, train: dict | None = None, **settings) -> ImageBatches:
    chosen = DataSettings(name=str(folder), **settings)
    processor = make_image_processor(VisionTransformerConfig(image_size=8, patch_size=4))
    table, plan = open_source(chosen).splits["train"], AugmentationPlan.of(train or {}, chosen.mix)
    return load_batches(
        table, Preparation(processor, 3), chosen, split="train", plan=plan, classes=2, seed=3, transform=transform
    )


@pytest.mark.parametrize("how", [{"keep_in_memory": True}, {"keep_in_memory": False}, {"train": {"flip": 1.0}}])
def test_batches_are_transformed_before_what_the_recipe_says(tmp_path: Path, how: dict):
    folder = class_folders(tmp_path / "photos", {"cat": 4, "dog": 4})
    plain, own = load(folder, **how), load(folder, transform=ImageOps.flip, **how)
    rows = [1, 5, 2]
    expected = plain.__getitems__(rows)
    found = own.__getitems__(rows)
    torch.testing.assert_close(found["pixel_values"], expected["pixel_values"].flip(-2))
    assert torch.equal(found["labels"], expected["labels"])


def test_a_batch_does_not_depend_on_the_workers_nor_on_what_was_drawn_before(tmp_path: Path):
    images = load(class_folders(tmp_path / "photos", {"cat": 4, "dog": 4}), transform=jitter, train={"shift": 0.2})
    images.set_epoch(2)
    whole = images.__getitems__(list(range(8)))["pixel_values"]
    loader = DataLoader(images, batch_size=4, collate_fn=collate, num_workers=1)
    torch.testing.assert_close(torch.cat([batch["pixel_values"] for batch in loader]), whole)
    again = images.__getitems__([6, 3, 14])["pixel_values"]  # the last is image 6 once more, as another sample
    torch.testing.assert_close(again[:2], whole[[6, 3]])
    assert not torch.allclose(again[2], whole[6])


def test_an_image_that_a_transform_fails_on_is_named_by_its_file(tmp_path: Path):
    folder = class_folders(tmp_path / "photos", {"cat": 2, "dog": 2})
    Image.new("RGB", (8, 8)).save(folder / "dog" / "1.png")
    with pytest.raises(UserError, match=r"dog/1\.png: the transform fails: ZeroDivisionError"):
        load(folder, transform=broken_for_dark).__getitems__([0, 3])
