import numpy as np
import pytest
import torch
from made_images import photo
from tiny import tiny_config

from vit_hf.data.batches.dataset import seen_by
from vit_hf.data.batches.views import MOST_VIEWS, ImageViews
from vit_hf.data.decode.images import OpenPicture, StoredPicture
from vit_hf.data.decode.preparation import MIDDLE, Preparation, View, corner_of
from vit_hf.data.decode.processors import make_image_processor
from vit_hf.errors import UserError


def preparation(size: int, **fields) -> Preparation:
    how = {"mean": [0.5] * 3, "std": [0.5] * 3, "crop_pct": None, "interpolation": "bilinear", **fields}
    return Preparation(make_image_processor(tiny_config(image_size=size, patch_size=1), **how), 3)


@pytest.mark.parametrize(
    ("text", "count"), [("flip", 2), ("crops", 6), ("flip,crops", 12), ("crops, flip", 12), ("1", 1), ("7", 7)]
)
def test_the_words_are_so_many_views_and_the_first_is_the_image_itself(text, count):
    views = ImageViews.parse(text)
    assert views.count == len(views.each()) == len(set(views.each())) == count
    assert views.each()[0] == MIDDLE


def test_a_number_takes_the_first_of_all():
    everything = ImageViews.parse("flip,crops").each()
    assert len(everything) == MOST_VIEWS
    assert ImageViews.parse("5").each() == everything[:5]
    assert ImageViews.parse("2") == ImageViews.parse("flip")


@pytest.mark.parametrize("text", ["", "0", "13", "flips", "flip;crops", "3x1"])
def test_anything_else_is_refused(text):
    with pytest.raises(UserError, match="no number of views from 1 to 12"):
        ImageViews.parse(text)


def test_corners_are_seven_eighths_of_each_side():
    pixels = np.arange(16 * 8).reshape(16, 8, 1)
    assert corner_of(pixels, (0, 0)).shape == (14, 7, 1)
    assert corner_of(pixels, (0, 0))[0, 0] == pixels[0, 0]
    assert corner_of(pixels, (1, 1))[-1, -1] == pixels[-1, -1]
    assert corner_of(pixels, (0, 1))[0, -1] == pixels[0, -1]
    assert corner_of(pixels, (0.5, 0.5))[0, 0] == pixels[1, 0]
    assert corner_of(np.zeros((1, 1, 3)), (1, 0)).shape == (1, 1, 3)


def test_the_crops_of_an_image_are_its_corners_in_the_models_size():
    columns = np.broadcast_to(np.arange(8, dtype=np.uint8), (8, 8))[..., None].repeat(3, axis=2).copy()
    seen = seen_by(ImageViews.parse("crops"), preparation(7, interpolation="nearest"), StoredPicture(columns))
    assert seen.shape == (6, 3, 7, 7)
    for view, first in zip(seen[2:], [0, 1, 0, 1], strict=True):  # top left, top right, bottom left, bottom right
        assert view[0, 0].tolist() == list(range(first, first + 7))


@pytest.mark.parametrize("crop_pct", [None, 0.875])
def test_every_second_view_is_the_mirror_of_the_one_before_it(crop_pct):
    own = preparation(16, crop_pct=crop_pct)
    picture = OpenPicture(photo())
    seen = seen_by(ImageViews.parse("flip,crops"), own, picture)
    assert torch.equal(seen[0], own.pixels(picture))
    assert torch.equal(seen[1::2], seen[::2].flip(-1))
    assert len({view.numpy().tobytes() for view in seen}) == MOST_VIEWS


def test_a_mirrored_corner_is_the_mirror_of_that_corner():
    own, picture = preparation(16), OpenPicture(photo())
    plain, mirrored = (own.pixels(picture, View(corner=(0.0, 1.0), flip=flip)) for flip in (False, True))
    assert torch.equal(mirrored, plain.flip(-1))
