"""Swin's weights at other sizes of window, image and patch, and with other heads."""

import logging

import pytest
import torch
from tiny import images, tiny_swin
from torch.nn import functional
from transformers import AutoModelForImageClassification

from vit_hf import (
    SwinTransformerBackbone,
    SwinTransformerForImageClassification,
    SwinTransformerModel,
)

Classifier = SwinTransformerForImageClassification
BIAS = "swin.stages.0.layers.1.attention.relative_bias.table"


@pytest.fixture(autouse=True)
def lines(caplog):
    """What the loader logged, one entry a line."""
    caplog.set_level(logging.WARNING, logger="vit_hf")
    return caplog


def told(lines) -> list[str]:
    return [record.getMessage() for record in lines.records if record.name.startswith("vit_hf")]


def test_a_model_comes_back_bit_for_bit(tmp_path, lines):
    model = tiny_swin(Classifier, ape=True, patch_embedding="linear")
    model.save_pretrained(tmp_path)
    loaded, pixels = AutoModelForImageClassification.from_pretrained(tmp_path), images(height=30, width=46)
    assert type(loaded) is Classifier
    assert torch.equal(loaded(pixels).logits, model(pixels).logits)
    assert loaded.config.to_diff_dict() == model.config.to_diff_dict()
    assert told(lines) == []


def test_biases_of_larger_windows_are_resampled_as_in_the_originals_code(tmp_path, lines):
    model = tiny_swin(Classifier)
    model.save_pretrained(tmp_path)
    loaded = Classifier.from_pretrained(tmp_path, window_size=8, image_size=64)
    assert told(lines) == [f"{tmp_path}: biases resampled from 4 x 4 to 8 x 8 patches"]
    table = model.state_dict()[BIAS].T.reshape(1, 2, 7, 7)
    expected = functional.interpolate(table, size=(15, 15), mode="bicubic").reshape(2, 225).T
    torch.testing.assert_close(loaded.state_dict()[BIAS], expected, atol=1e-6, rtol=0)


def test_another_image_size_alone_changes_absolute_positions_alone(tmp_path, lines):
    model, pixels = tiny_swin(Classifier, ape=True), images(height=48, width=64)
    model.save_pretrained(tmp_path)
    loaded = Classifier.from_pretrained(tmp_path, image_size=[48, 64])
    assert told(lines) == [f"{tmp_path}: positions resampled from 16 x 16 to 24 x 32 patches"]
    torch.testing.assert_close(loaded(pixels).logits, model(pixels).logits, atol=1e-5, rtol=1e-5)


def test_patches_channels_and_labels_are_adapted(tmp_path, lines):
    tiny_swin(Classifier).save_pretrained(tmp_path)
    loaded = Classifier.from_pretrained(tmp_path, patch_size=4, num_channels=1, num_labels=3)
    assert told(lines) == [
        f"{tmp_path}: patches resampled from 2 x 2 to 4 x 4 pixels",
        f"{tmp_path}: patches adapted from 3 to 1 channels",
        f"{tmp_path}: a new, untrained classifier for 3 labels in place of 5",
    ]
    assert loaded(images(channels=1)).logits.shape == (2, 3)


def test_other_stages_are_refused(tmp_path):
    tiny_swin(Classifier).save_pretrained(tmp_path)
    with pytest.raises((ValueError, RuntimeError), match=r"stages\.1\.layers\.2|lacks"):
        Classifier.from_pretrained(tmp_path, depths=[2, 3])


def test_a_classifiers_weights_serve_a_backbone_whose_norms_start_anew(tmp_path, lines):
    model = tiny_swin(Classifier)
    model.save_pretrained(tmp_path)
    backbone = SwinTransformerBackbone.from_pretrained(tmp_path, out_features=["stage1", "stage2"])
    assert all("classifier" in line or "norms" in line for line in told(lines))
    pixels = images()
    state = SwinTransformerModel.from_pretrained(tmp_path)(pixels, output_hidden_states=True).hidden_states[1]
    expected = functional.layer_norm(state, (8,), eps=1e-5).transpose(1, 2).reshape(2, 8, 16, 16)
    torch.testing.assert_close(backbone(pixels).feature_maps[0], expected)
