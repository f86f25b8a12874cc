"""Answers of several views of an image, averaged."""

import math
from types import SimpleNamespace

import pytest
import torch
from made_images import class_folders
from tiny import tiny_config
from torch import Tensor, nn

from vit_hf.data.batches.dataset import ViewedItems
from vit_hf.data.batches.views import ImageViews
from vit_hf.data.decode.preparation import Preparation
from vit_hf.data.decode.processors import make_image_processor
from vit_hf.data.settings import DataSettings
from vit_hf.data.sources.open_data import open_source
from vit_hf.runs.evaluate import mean_of_views, predict_logits


def test_the_mean_is_of_probabilities_and_not_of_logits():
    shares = torch.tensor([[0.9, 0.1], [0.5, 0.5], [0.2, 0.8], [0.4, 0.6]])
    found = mean_of_views(shares.log(), 2)
    torch.testing.assert_close(found.softmax(-1), torch.tensor([[0.7, 0.3], [0.3, 0.7]]))


def test_of_several_labels_each_has_a_mean_of_its_own():
    shares = torch.tensor([[0.9, 0.2], [0.5, 0.6]])
    found = mean_of_views(shares.logit(), 2, "multi_label_classification")
    torch.testing.assert_close(found.sigmoid(), torch.tensor([[0.7, 0.4]]))


def test_of_numbers_it_is_their_mean():
    assert mean_of_views(torch.tensor([[1.0], [4.0]]), 2, "regression").tolist() == [[2.5]]


@pytest.mark.parametrize("problem_type", [None, "multi_label_classification"])
def test_a_probability_that_rounds_to_nothing_has_a_logarithm(problem_type):
    found = mean_of_views(torch.tensor([[500.0, -500.0], [400.0, -400.0]]), 2, problem_type)
    assert found.isfinite().all()
    assert found[0, 0] - found[0, 1] > 700


class Columns(nn.Module):
    """Two logits: the sums of some columns, and 0."""

    def __init__(self, weights: list[float]):
        super().__init__()
        self.weights = nn.Parameter(torch.tensor(weights))

    def forward(self, pixel_values: Tensor) -> SimpleNamespace:
        said = (pixel_values.mean((1, 2)) * self.weights).sum(-1)
        return SimpleNamespace(logits=torch.stack([said, torch.zeros_like(said)], dim=-1))


@pytest.fixture
def images(tmp_path):
    name = str(class_folders(tmp_path, {"a": 4, "b": 4}))
    processor = make_image_processor(
        tiny_config(image_size=8), mean=[0.5] * 3, std=[0.5] * 3, crop_pct=None, interpolation="bilinear"
    )
    return open_source(DataSettings(name=name)).splits["train"], Preparation(processor, 3)


def said_of(images, model: nn.Module, tta: str) -> Tensor:
    views = ImageViews.parse(tta)
    table, preparation = images
    return predict_logits(model, ViewedItems(table, preparation, views), batch_size=3, views=views.count)


def test_a_model_that_no_flip_changes_says_the_same_with_flips(images):
    even = Columns([3.0, -1.0, 2.0, 0.5, 0.5, 2.0, -1.0, 3.0])
    plain, flipped = (said_of(images, even, tta).softmax(-1) for tta in ("1", "flip"))
    torch.testing.assert_close(flipped, plain)
    assert (said_of(images, even, "flip,crops").softmax(-1) - plain).abs().max() > 1e-3


def test_flips_are_the_mean_of_a_model_and_of_its_mirror(images):
    weights = [9.0, -4.0, 2.0, 0.0, 0.0, 0.0, 1.0, -7.0]
    plain, mirror = (said_of(images, Columns(each), "1").softmax(-1) for each in (weights, weights[::-1]))
    torch.testing.assert_close(said_of(images, Columns(weights), "flip").softmax(-1), (plain + mirror) / 2)
    assert not math.isclose(float(plain[0, 0]), float(mirror[0, 0]), abs_tol=1e-3)
