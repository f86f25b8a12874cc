"""A TimeSformer loaded for other frames, sizes, channels and labels."""

import logging

import pytest
import torch
from tiny import clips, tiny_timesformer
from transformers import AutoConfig, AutoModel, AutoModelForVideoClassification

from vit_hf import TimeSformerConfig, TimeSformerForVideoClassification, TimeSformerModel

Classifier = TimeSformerForVideoClassification


def test_the_auto_classes_find_it(tmp_path):
    model, pixels = tiny_timesformer(Classifier), clips()
    model.save_pretrained(tmp_path)
    assert type(AutoConfig.from_pretrained(tmp_path)) is TimeSformerConfig
    assert type(AutoModel.from_pretrained(tmp_path)) is TimeSformerModel
    loaded = AutoModelForVideoClassification.from_pretrained(tmp_path)
    assert torch.equal(loaded(pixels).logits, model(pixels).logits)


@pytest.mark.parametrize("position_embedding", ["learned", "embedding"])
def test_a_model_loaded_for_other_clips_is_the_model_that_was_given_them(position_embedding, tmp_path, caplog):
    model, pixels = tiny_timesformer(Classifier, position_embedding=position_embedding), clips(frames=6, height=48)
    model.save_pretrained(tmp_path)
    with caplog.at_level(logging.WARNING):
        loaded = Classifier.from_pretrained(tmp_path, num_frames=6, image_size=[48, 32])
    torch.testing.assert_close(loaded(pixels).logits, model(pixels).logits, rtol=0, atol=1e-6)
    said = {
        "learned": [
            "positions in time taken from the nearest of 4 for 6 frames",
            "positions resampled from 4 x 4 to 6 x 4 patches",
        ],
        "embedding": ["positions resampled from 4 frames of 4 x 4 to 6 frames of 6 x 4 patches"],
    }
    assert [record.message.split(": ")[-1] for record in caplog.records] == said[position_embedding]


def test_channels_and_labels_adapt(tmp_path, caplog):
    model = tiny_timesformer(Classifier)
    model.save_pretrained(tmp_path)
    with caplog.at_level(logging.WARNING):
        loaded = Classifier.from_pretrained(tmp_path, num_channels=1, num_labels=3)
    assert loaded(clips(channels=1)).logits.shape == (2, 3)
    said = [record.message.split(": ")[-1] for record in caplog.records if record.name.startswith("vit_hf")]
    assert said == ["patches adapted from 3 to 1 channels", "a new, untrained classifier for 3 labels in place of 5"]
    gray = clips(channels=1)
    tokens = loaded.timesformer(gray).last_hidden_state
    expected = model.timesformer(gray.expand(-1, -1, 3, -1, -1)).last_hidden_state
    torch.testing.assert_close(tokens, expected, rtol=0, atol=1e-5)
