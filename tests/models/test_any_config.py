"""Any words in any combination: a working model that survives its file, or a refusal in a sentence."""

import tempfile
from copy import deepcopy

import torch
from any_config import CLIP_CONFIGS, CONFIGS, swin_configs
from hypothesis import given, settings

from vit_hf import (
    SwinTransformerConfig,
    SwinTransformerForImageClassification,
    TimeSformerConfig,
    TimeSformerForVideoClassification,
    VisionTransformerConfig,
    VisionTransformerForImageClassification,
)
from vit_hf.models.shapes import pair


def works_or_refuses(config_class, model_class, fields) -> None:
    try:
        config = config_class(**fields)
        model = model_class(config)
    except ValueError as refusal:
        sentence = str(refusal)
        assert len(sentence.split()) > 4, sentence
        assert "\n" not in sentence, sentence
        return
    (rows, columns), (height, width) = config.patch_grid, pair(config.patch_size)
    frames = [config.num_frames] if hasattr(config, "num_frames") else []
    pixels = torch.randn(2, *frames, config.num_channels, rows * height, columns * width)
    model.train()(pixels, labels=torch.tensor([0, 1])).loss.backward()
    assert all(parameter.grad is None or parameter.grad.isfinite().all() for parameter in model.parameters())
    larger = torch.randn(
        1, *(count + 1 for count in frames), config.num_channels, 2 * rows * height, 3 * columns * width
    )
    assert model.eval()(larger).logits.isfinite().all()
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        loaded = model_class.from_pretrained(folder)
    state = model.state_dict()
    assert all(torch.equal(tensor, state[key]) for key, tensor in loaded.state_dict().items())
    # Out of the mapped file, where tensors begin anywhere: on that depends in which order a tiny product sums.
    assert torch.equal(deepcopy(loaded)(pixels).logits, model(pixels).logits)


@settings(max_examples=250)
@given(CONFIGS)
def test_a_config_works_and_survives_its_file_or_is_refused_in_a_sentence(fields):
    works_or_refuses(VisionTransformerConfig, VisionTransformerForImageClassification, fields)


@settings(max_examples=100)
@given(swin_configs())
def test_a_config_of_swin_does_too(fields):
    works_or_refuses(SwinTransformerConfig, SwinTransformerForImageClassification, fields)


@settings(max_examples=150)
@given(CLIP_CONFIGS)
def test_a_config_of_timesformer_does_too(fields):
    works_or_refuses(TimeSformerConfig, TimeSformerForVideoClassification, fields)
