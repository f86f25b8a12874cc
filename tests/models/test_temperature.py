"""The temperature that a classifier divides its logits by: the same wherever the model goes."""

import json
from typing import Any

import pytest
import torch
from tiny import clips, images, tiny, tiny_config, tiny_swin, tiny_timesformer
from torch import nn

from vit_hf import (
    SwinTransformerForImageClassification,
    TimeSformerForVideoClassification,
    VisionTransformerForImageClassification,
    VisionTransformerModel,
)
from vit_hf.conversion import to_transformers
from vit_hf.conversion.convert import Conversion
from vit_hf.conversion.core.weights import folded_heads
from vit_hf.conversion.pretrained import Loaded
from vit_hf.errors import UserError
from vit_hf.runs.initial_model import continue_classifier
from vit_hf.training.losses import logits_of_heads

NAMES = {0: "ant", 1: "bee", 2: "cat"}
MODELS = {
    "vit": lambda **fields: tiny(VisionTransformerForImageClassification, **fields),
    "distilled": lambda **fields: tiny(
        VisionTransformerForImageClassification, distillation_token=True, num_register_tokens=1, **fields
    ),
    "swin": lambda **fields: tiny_swin(SwinTransformerForImageClassification, **fields),
    "timesformer": lambda **fields: tiny_timesformer(TimeSformerForVideoClassification, **fields),
}


def pixels_for(name: str) -> torch.Tensor:
    return clips() if name == "timesformer" else images()


@pytest.mark.parametrize("name", MODELS)
def test_every_classifier_divides_its_logits(name):
    model, pixels = MODELS[name](), pixels_for(name)
    plain = model(pixels).logits
    model.config.temperature = 4
    torch.testing.assert_close(model(pixels).logits, plain / 4, rtol=0, atol=0)


def test_both_heads_of_a_distilled_model_are_divided():
    model, pixels = MODELS["distilled"](), images()
    plain = logits_of_heads(model(pixels))
    model.config.temperature = 2.5
    for found, expected in zip(logits_of_heads(model(pixels)), plain, strict=True):
        torch.testing.assert_close(found, expected / 2.5)


def test_the_loss_is_that_of_the_logits_that_are_returned():
    model, labels = MODELS["vit"](temperature=3.0), torch.tensor([1, 4])
    outputs = model(images(), labels=labels)
    torch.testing.assert_close(outputs.loss, nn.functional.cross_entropy(outputs.logits, labels))


def test_features_of_a_model_without_labels_are_not_divided():
    model = tiny(VisionTransformerForImageClassification, num_labels=0, temperature=3.0)
    pixels = images()
    torch.testing.assert_close(model(pixels).logits, model.vit(pixels).pooler_output)


def test_it_comes_back_with_the_weights(tmp_path):
    model, pixels = MODELS["vit"](temperature=1.75), images()
    model.save_pretrained(tmp_path)
    again = VisionTransformerForImageClassification.from_pretrained(tmp_path)
    assert again.config.temperature == 1.75
    assert torch.equal(again(pixels).logits, model(pixels).logits)


def test_a_folder_from_before_the_field_has_a_temperature_of_one(tmp_path):
    MODELS["vit"]().save_pretrained(tmp_path)
    written = json.loads((tmp_path / "config.json").read_text())
    del written["temperature"]
    (tmp_path / "config.json").write_text(json.dumps(written))
    assert VisionTransformerForImageClassification.from_pretrained(tmp_path).config.temperature == 1


@pytest.mark.parametrize("temperature", [0, -1.0, float("inf"), float("nan")])
def test_what_is_no_temperature_is_refused(temperature):
    with pytest.raises(UserError, match="temperature=.* must be greater than 0"):
        tiny_config(temperature=temperature)


def test_a_regression_has_no_temperature():
    with pytest.raises(UserError, match="has none; leave it at 1"):
        tiny_config(temperature=2.0, problem_type="regression")


@pytest.mark.parametrize("name", MODELS)
def test_another_library_has_it_in_the_weights_of_the_heads(name):
    model, pixels = MODELS[name](temperature=1.6), pixels_for(name)
    theirs = to_transformers(model).eval()
    torch.testing.assert_close(theirs(pixels).logits, model(pixels).logits, rtol=1e-4, atol=1e-5)
    assert not hasattr(theirs.config, "temperature")


def test_a_comparison_of_two_libraries_sees_the_calibrated_logits():
    model = MODELS["vit"](temperature=1.6)
    conversion = Conversion.of(Loaded("here", "vit_hf", model), "transformers")
    assert not conversion.differing, conversion.parity


def test_folding_leaves_the_trunk_and_the_model_alone():
    model = MODELS["distilled"](temperature=2.0)
    state = model.state_dict()
    folded = folded_heads(state, model.config)
    changed = {key for key in state if not torch.equal(folded[key], state[key])}
    heads = ("classifier", "distillation_classifier")
    assert changed == {f"{head}.{part}" for head in heads for part in ("weight", "bias")}
    assert torch.equal(folded["classifier.weight"], model.classifier.weight / 2)


def test_other_labels_start_from_one_and_the_log_says_so(tmp_path, caplog):
    MODELS["vit"](temperature=1.75, id2label=NAMES).save_pretrained(tmp_path)
    other = VisionTransformerForImageClassification.from_pretrained(tmp_path, id2label={0: "dog", 1: "elk"})
    assert other.config.temperature == 1
    assert "the temperature starts from 1 again, in place of 1.75" in caplog.text


def test_the_same_labels_in_another_order_stay_calibrated(tmp_path):
    model = MODELS["vit"](temperature=1.75, id2label=NAMES)
    model.save_pretrained(tmp_path)
    turned = VisionTransformerForImageClassification.from_pretrained(tmp_path, id2label={0: "cat", 1: "bee", 2: "ant"})
    pixels = images()
    torch.testing.assert_close(turned(pixels).logits.flip(-1), model(pixels).logits)


def test_a_change_of_size_keeps_the_temperature(tmp_path):
    MODELS["vit"](temperature=1.75).save_pretrained(tmp_path)
    assert VisionTransformerForImageClassification.from_pretrained(tmp_path, image_size=48).config.temperature == 1.75
    assert VisionTransformerModel.from_pretrained(tmp_path).config.temperature == 1.75


def test_training_further_starts_from_one(caplog):
    model = MODELS["vit"](temperature=1.75, id2label=NAMES)
    further = continue_classifier(model, {}, ["ant", "bee", "cat"], "my-model")
    assert further.config.temperature == 1
    assert torch.equal(further.classifier.weight, model.classifier.weight)
    assert "my-model: the temperature starts from 1 again" in caplog.text


def test_a_clip_model_of_an_image_model_is_as_calibrated():
    vit = tiny(VisionTransformerForImageClassification, temperature=2.0, patch_embedding="conv", id2label=NAMES)
    model_class: Any = TimeSformerForVideoClassification
    clip_model = model_class.from_image_model(vit, num_frames=2)
    pixels = images()
    still = pixels[:, None].expand(-1, 2, -1, -1, -1)
    torch.testing.assert_close(clip_model(still).logits, vit(pixels).logits, rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("ignore:`isinstance\\(treespec, LeafSpec\\)` is deprecated:FutureWarning")
def test_an_export_holds_it():
    torch.compiler.reset()
    model, pixels = MODELS["distilled"](temperature=1.6), images()
    program = torch.export.export(model, (pixels,), strict=False)
    torch.testing.assert_close(program.module()(pixels).logits, model(pixels).logits)
