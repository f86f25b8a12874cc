"""The units in which a regression says its numbers: the same wherever the model goes."""

import json
from typing import Any

import pytest
import torch
from tiny import clips, images, tiny, tiny_config, tiny_swin, tiny_timesformer
from torch import Tensor, nn

from vit_hf import (
    SwinTransformerForImageClassification,
    TimeSformerForVideoClassification,
    VisionTransformerForImageClassification,
    VisionTransformerModel,
)
from vit_hf.conversion import from_transformers, to_transformers
from vit_hf.conversion.convert import Conversion
from vit_hf.conversion.pretrained import Loaded
from vit_hf.errors import UserError
from vit_hf.models.target_units import errors_in_std, in_units
from vit_hf.runs.initial_model import continue_classifier
from vit_hf.training.problem import Problem
from vit_hf.training.targets import settle_targets

MEAN, STD = [50_000.0, -3e-6], [10_000.0, 2e-6]
PRICES = {"id2label": {0: "price", 1: "shift"}, "label2id": {"price": 0, "shift": 1}, "problem_type": "regression"}
UNITS = {**PRICES, "target_mean": MEAN, "target_std": STD}
MODELS = {
    "vit": lambda **fields: tiny(VisionTransformerForImageClassification, **fields),
    "distilled": lambda **fields: tiny(
        VisionTransformerForImageClassification, distillation_token=True, num_register_tokens=1, **fields
    ),
    "swin": lambda **fields: tiny_swin(SwinTransformerForImageClassification, **fields),
    "timesformer": lambda **fields: tiny_timesformer(TimeSformerForVideoClassification, **fields),
}


def pixels_for(name: str) -> Tensor:
    return clips() if name == "timesformer" else images()


def same_numbers(found: Tensor, expected: Tensor, rtol: float = 1e-5) -> None:
    """Each in its own standard deviation."""
    std = expected.new_tensor(STD)
    torch.testing.assert_close(found / std, expected / std, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("name", MODELS)
def test_every_classifier_says_its_numbers_in_units(name: str):
    model, pixels = MODELS[name](**PRICES), pixels_for(name)
    plain = model(pixels).logits
    model.config.target_mean, model.config.target_std = MEAN, STD
    same_numbers(model(pixels).logits, plain * torch.tensor(STD) + torch.tensor(MEAN))


def test_the_loss_is_in_standard_deviations():
    model, pixels = MODELS["vit"](**UNITS), images()
    labels = torch.tensor([[40_000.0, 1e-6], [60_000.0, -5e-6]])
    standardized = torch.tensor([[-1.0, 2.0], [1.0, -1.0]])
    plain = MODELS["vit"](**PRICES)
    plain.load_state_dict(model.state_dict())
    expected = nn.functional.mse_loss(plain(pixels).logits, standardized)
    assert model(pixels, labels=labels).loss.item() == pytest.approx(expected.item(), rel=1e-4)


def test_errors_by_hand():
    said, true = torch.tensor([[3.0, 10.0]]), torch.tensor([[1.0, 40.0]])
    assert errors_in_std(said, true, [2.0, 10.0]).tolist() == [[1.0, -3.0]]
    assert errors_in_std(said, true, None).tolist() == [[2.0, -30.0]]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_half_precision_does_not_round_years_or_overflow(dtype: torch.dtype):
    config = tiny_config(**{**PRICES, "target_mean": [2016.0, 70_000.0], "target_std": [1.0, 10.0]})
    found = in_units(torch.tensor([[1.0, 0.5]], dtype=dtype), config)
    assert found.tolist() == [[2017.0, 70_005.0]]
    assert found.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)


def test_features_of_a_model_without_labels_have_no_units(tmp_path):
    MODELS["vit"](**UNITS).save_pretrained(tmp_path)
    model: Any = VisionTransformerForImageClassification
    model, pixels = model.from_pretrained(tmp_path, num_labels=0), images()
    torch.testing.assert_close(model(pixels).logits, model.vit(pixels).pooler_output)


def test_they_come_back_with_the_weights(tmp_path):
    model, pixels = MODELS["vit"](**UNITS), images()
    model.save_pretrained(tmp_path)
    again = VisionTransformerForImageClassification.from_pretrained(tmp_path)
    assert (again.config.target_mean, again.config.target_std) == (MEAN, STD)
    assert torch.equal(again(pixels).logits, model(pixels).logits)


@pytest.mark.parametrize("name", MODELS)
def test_other_configurations_say_nothing_of_them(name: str, tmp_path):
    MODELS[name]().save_pretrained(tmp_path)
    assert not {"target_mean", "target_std"} & json.loads((tmp_path / "config.json").read_text()).keys()


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"target_std": None}, "or both be None"),
        ({"target_mean": [1.0]}, "a number for each of the 2 labels"),
        ({"target_std": [1.0, 0.0]}, "also greater than 0"),
        ({"target_mean": [1.0, float("nan")]}, "must be finite"),
        ({"problem_type": "single_label_classification"}, "is of numbers to predict"),
    ],
)
def test_what_are_no_units_is_refused(fields: dict[str, Any], says: str):
    with pytest.raises(UserError, match=says):
        tiny_config(**{**UNITS, **fields})


@pytest.mark.parametrize("name", MODELS)
def test_another_library_has_them_in_the_weights_of_the_heads(name: str):
    model, pixels = MODELS[name](**UNITS), pixels_for(name)
    theirs = to_transformers(model).eval()
    same_numbers(theirs(pixels).logits, model(pixels).logits, rtol=1e-4)
    assert not hasattr(theirs.config, "target_std")
    if name != "distilled":
        same_numbers(from_transformers(theirs)(pixels).logits, model(pixels).logits, rtol=1e-4)


def test_a_comparison_of_two_libraries_sees_the_same_numbers():
    assert not Conversion.of(Loaded("here", "vit_hf", MODELS["vit"](**UNITS)), "transformers").differing


def test_other_targets_start_without_units(tmp_path):
    MODELS["vit"](**UNITS).save_pretrained(tmp_path)
    model: Any = VisionTransformerForImageClassification
    for fields in ({"num_labels": 3}, {"id2label": {0: "age"}}, {"id2label": {0: "age", 1: "size"}}):
        other = model.from_pretrained(tmp_path, **fields)
        assert (other.config.target_mean, other.config.target_std) == (None, None)
        assert other(images()).logits.abs().max() < 10


def test_the_same_targets_in_another_order_keep_their_own_units(tmp_path):
    model, pixels = MODELS["vit"](**UNITS), images()
    model.save_pretrained(tmp_path)
    turned = VisionTransformerForImageClassification.from_pretrained(tmp_path, id2label={0: "shift", 1: "price"})
    assert turned.config.target_std == STD[::-1]
    same_numbers(turned(pixels).logits.flip(-1), model(pixels).logits)


def test_a_change_of_size_keeps_them(tmp_path):
    MODELS["vit"](**UNITS).save_pretrained(tmp_path)
    for one in (VisionTransformerForImageClassification, VisionTransformerModel):
        assert one.from_pretrained(tmp_path, image_size=48).config.target_std == STD


def test_a_clip_model_of_an_image_model_says_the_same_numbers():
    vit = MODELS["vit"](**UNITS, patch_embedding="conv")
    model_class: Any = TimeSformerForVideoClassification
    clip_model = model_class.from_image_model(vit, num_frames=2)
    pixels = images()
    still = pixels[:, None].expand(-1, 2, -1, -1, -1)
    same_numbers(clip_model(still).logits, vit(pixels).logits, rtol=1e-4)


OTHER = Problem("regression", ["price", "shift"], target_mean=[2000.0, 5e-6], target_std=[500.0, 1e-6])


@pytest.mark.parametrize("known", [UNITS, PRICES], ids=["of its own", "learned as they are"])
@pytest.mark.parametrize("name", MODELS)
def test_training_on_begins_with_the_same_numbers_in_the_units_of_the_new_data(name: str, known: dict[str, Any]):
    model, pixels = MODELS[name](**known), pixels_for(name)
    before = model(pixels).logits
    further = continue_classifier(model, {}, ["price", "shift"], "my-model").eval()
    settle_targets(further, OTHER)
    assert further.config.target_std == [500.0, 1e-6]
    std = torch.tensor([500.0, 1e-6])
    torch.testing.assert_close(further(pixels).logits / std, before / std, rtol=1e-5, atol=1e-2)


def test_training_on_in_the_same_units_changes_no_bit():
    model = MODELS["vit"](**UNITS)
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    settle_targets(model, Problem("regression", ["price", "shift"], target_mean=MEAN, target_std=STD))
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())


@pytest.mark.parametrize("names", [["price", "area"], ["price", "shift", "area"]])
def test_a_head_for_other_targets_begins_at_their_mean(names: list[str]):
    further = continue_classifier(MODELS["vit"](**UNITS), {}, names, "my-model")
    weight = further.classifier.weight.clone()
    mean, std = [1e3 * place for place in range(len(names))], [2.0] * len(names)
    settle_targets(further, Problem("regression", names, target_mean=mean, target_std=std))
    assert torch.equal(further.classifier.weight, weight)
    assert (further(images()).logits - torch.tensor(mean)).abs().max() < 10


def test_classes_after_numbers_have_no_units():
    further = continue_classifier(MODELS["vit"](**UNITS), {}, ["ant", "bee"], "my-model")
    settle_targets(further, Problem("single_label_classification", ["ant", "bee"], [3, 3], 6))
    assert further.config.problem_type == "single_label_classification"
    assert further.config.target_std is None
    labels = torch.tensor([0, 1])
    outputs = further(images(), labels=labels)
    torch.testing.assert_close(outputs.loss, nn.functional.cross_entropy(outputs.logits, labels))


@pytest.mark.filterwarnings("ignore:`isinstance\\(treespec, LeafSpec\\)` is deprecated:FutureWarning")
def test_an_export_holds_them():
    torch.compiler.reset()
    model, pixels = MODELS["distilled"](**UNITS), images()
    program = torch.export.export(model, (pixels,), strict=False)
    same_numbers(program.module()(pixels).logits, model(pixels).logits)
