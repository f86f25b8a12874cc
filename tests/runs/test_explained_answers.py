"""The panel of a card: by the method that did best on validation, and never a reason for a training to fail."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import tiny, tiny_timesformer
from torch import nn

from vit_hf import TimeSformerForVideoClassification, VisionTransformerForImageClassification
from vit_hf.data.batches.cache import PixelStore
from vit_hf.data.batches.dataset import ImageBatches
from vit_hf.data.sources.tables import ImageTable
from vit_hf.explanation.comparison import MethodGains
from vit_hf.modality import modality_of
from vit_hf.runs import explained_answers
from vit_hf.runs.explained_answers import EXPLAINED, Answered, affordable_items, explain_answers


def items(model: Any, count: int) -> ImageBatches:
    """Of noise, with labels by chance."""
    modality, random = modality_of(model.config), np.random.default_rng(count)
    shape = modality.input_shape(model.config)
    pixels = [*random.integers(0, 256, (count, *shape), dtype=np.uint8)]
    labels = random.integers(0, 5, count)
    table = ImageTable.of(pixels, labels, source=lambda item, name: item, name=str, modality=modality)
    preparation = modality.preparation(modality.make_processor(model.config), model.config.num_channels)
    return ImageBatches(table, preparation, store=PixelStore.of(pixels))


def answered(model: Any, validation: int | None = 10, **changes: Any) -> Answered:
    tested = items(model, 12)
    logits = 3 * nn.functional.one_hot(tested.labels, 5).float()
    logits[::3] = logits[::3].roll(1, -1)  # a third is wrong
    known = {"names": ["ant", "bee", "cat", "dog", "eel"], "each_second": None, "batch": 4}
    known["validation"] = None if validation is None else items(model, validation)
    return Answered(**{"model": model, "tested": tested, "logits": logits, **known, **changes})


@pytest.fixture
def vit() -> Any:
    return tiny(VisionTransformerForImageClassification)


def test_the_method_is_the_one_that_gains_most_on_validation(vit: Any, tmp_path: Path, monkeypatch):
    gains = {"relevance": 0.1, "grad_cam": -0.2, "rollout": 0.5, "attention": 0.3}
    found = MethodGains({name: torch.tensor([gain, gain + 0.2]) for name, gain in gains.items()})
    monkeypatch.setattr(explained_answers, "compare_methods", lambda *given, **options: found)
    sentences, record = explain_answers(answered(vit), tmp_path)
    assert "4 right answers and for the 4 mistakes that it was surest of, by the method rollout" in sentences
    assert "with a gain of +0.600 (95% interval +0.500 to +0.700); relevance +0.200, grad_cam -0.100" in sentences
    assert record is not None
    assert (record["method"], record["images"]) == ("rollout", 2)
    with Image.open(tmp_path / EXPLAINED) as picture:
        assert picture.width > 2 * picture.height > 400  # two rows of four pairs


def test_methods_are_scored_on_no_more_items_than_there_is_time_for(vit: Any, tmp_path: Path):
    assert affordable_items(1e6) > 24 > 8 > affordable_items(1.0)
    _, record = explain_answers(answered(vit, 40), tmp_path)
    assert record is not None
    assert record["images"] == 24
    assert set(record["gains"]) == {"relevance", "grad_cam", "rollout", "attention"}
    sentences, record = explain_answers(answered(vit, 40, each_second=1.0), tmp_path)
    assert record == {"method": "relevance", "images": 0}
    assert "by the method relevance. The method is the usual one: to score methods here would have taken" in sentences


@pytest.mark.parametrize(("count", "sentence"), [(None, "there is no validation split"), (5, "are too few images")])
def test_without_validation_images_the_method_is_the_usual_one_and_that_is_said(
    vit: Any, tmp_path: Path, count, sentence
):
    sentences, record = explain_answers(answered(vit, count), tmp_path)
    assert sentence in sentences
    assert record == {"method": "relevance", "images": 0}


def test_of_videos_some_frames_are_drawn_in_strips(tmp_path: Path):
    model = tiny_timesformer(TimeSformerForVideoClassification)
    sentences, _ = explain_answers(answered(model, None), tmp_path)
    assert "2 right answers and for the 2 mistakes" in sentences
    with Image.open(tmp_path / EXPLAINED) as picture:
        assert picture.height > picture.width > 500  # a strip below another, four times


@pytest.mark.parametrize(
    ("problem_type", "sentence"),
    [("regression", "it says numbers"), ("multi_label_classification", "an image has several labels")],
)
def test_where_there_is_no_one_answer_nothing_is_drawn_and_that_is_said(
    vit: Any, tmp_path: Path, problem_type, sentence
):
    vit.config.problem_type = problem_type
    sentences, record = explain_answers(answered(vit), tmp_path)
    assert (record, sentence in sentences) == (None, True)
    assert not (tmp_path / EXPLAINED).exists()


def test_a_model_whose_layers_cannot_be_explained_costs_no_training(vit: Any, tmp_path: Path):
    class Other(nn.Module):
        """Of another package: a classifier without blocks of ours."""

        def __init__(self):
            super().__init__()
            self.config, self.classifier = vit.config, nn.Linear(3 * 32 * 32, 5)
            self.device = torch.device("cpu")

        def forward(self, pixel_values):
            return type("Answer", (), {"logits": self.classifier(pixel_values.flatten(1))})

    sentences, record = explain_answers(answered(Other()), tmp_path)  # items are made as for the tiny model
    assert record is None
    assert "is not drawn here. Other has no blocks of this package" in sentences


def test_what_does_not_fit_into_memory_costs_no_training(vit: Any, tmp_path: Path, monkeypatch):
    def too_large(*given, **options):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(explained_answers, "explain", too_large)
    assert "the memory does not suffice" in explain_answers(answered(vit, None), tmp_path).sentences
