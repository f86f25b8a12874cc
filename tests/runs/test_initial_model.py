import pytest
import torch
from tiny import images, tiny

from vit_hf import (
    VisionTransformerForImageClassification,
    VisionTransformerForMaskedImageModeling,
    VisionTransformerModel,
)
from vit_hf.runs.initial_model import continue_classifier

NAMES = ["ant", "bee", "cat"]


@pytest.mark.parametrize(
    "model_class",
    [VisionTransformerModel, VisionTransformerForMaskedImageModeling, VisionTransformerForImageClassification],
)
def test_any_pretrained_encoder_becomes_a_classifier_of_other_labels(model_class):
    pretrained = tiny(model_class)
    model = continue_classifier(pretrained, {"drop_path_rate": 0.2}, NAMES, "there").eval()
    assert model.config.id2label == dict(enumerate(NAMES))
    assert model.vit.layers[-1].drop_path.rate == 0.2
    pixels, encoder = images(), getattr(pretrained, "vit", pretrained)
    assert torch.equal(model.vit(pixels).last_hidden_state, encoder(pixels).last_hidden_state)
    assert model(pixels).logits.shape == (2, 3)


def test_half_precision_is_trained_in_single():
    pretrained = tiny(VisionTransformerForImageClassification).bfloat16()
    assert continue_classifier(pretrained, {}, NAMES, "there").dtype == torch.float32


def test_sizes_and_channels_are_adapted():
    pretrained = tiny(VisionTransformerForImageClassification)
    model = continue_classifier(pretrained, {"image_size": 48, "num_channels": 1}, NAMES, "there")
    assert model(images(channels=1, height=48, width=48)).logits.shape == (2, 3)
    assert model.vit.embeddings.positions.table.shape == (1, 37, 32)


@pytest.mark.parametrize("settings", [{"hidden_size": 64}, {"qk_norm": True}, {"position_embedding": "rotary"}])
def test_what_the_weights_have_no_place_for_is_refused(settings):
    name = next(iter(settings))
    with pytest.raises(ValueError, match=f"are of a model with {name}=.*, which cannot be changed"):
        continue_classifier(tiny(VisionTransformerForImageClassification), settings, NAMES, "there")
