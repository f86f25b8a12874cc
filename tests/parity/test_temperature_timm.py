"""A calibrated classifier as timm's: the temperature goes into the weights of the head."""

import pytest
import torch
from tiny import images, tiny, tiny_swin

from vit_hf import SwinTransformerForImageClassification, VisionTransformerForImageClassification
from vit_hf.conversion import from_timm, to_timm
from vit_hf.conversion.convert import Conversion
from vit_hf.conversion.pretrained import Loaded

MODELS = {
    "vit": lambda: tiny(VisionTransformerForImageClassification, temperature=1.6),
    "swin": lambda: tiny_swin(SwinTransformerForImageClassification, temperature=1.6),
}


@pytest.mark.parametrize("name", MODELS)
def test_timm_says_the_calibrated_logits_and_gives_them_back(name):
    model, pixels = MODELS[name](), images()
    expected = model(pixels).logits
    theirs = to_timm(model).eval()
    torch.testing.assert_close(theirs(pixels), expected, rtol=1e-4, atol=1e-5)
    back = from_timm(theirs)
    assert back.config.temperature == 1
    torch.testing.assert_close(back(pixels).logits, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_the_comparison_of_a_conversion_sees_them_too(name):
    conversion = Conversion.of(Loaded("here", "vit_hf", MODELS[name]()), "timm")
    assert not conversion.differing, conversion.parity


def test_timm_says_the_numbers_of_a_regression_in_their_units():
    units = {"target_mean": [5e4, 2016.0], "target_std": [1e4, 5.0]}
    words = {"id2label": {0: "price", 1: "year"}, "problem_type": "regression"}
    model, pixels = tiny(VisionTransformerForImageClassification, **words, **units), images()
    theirs = to_timm(model).eval()
    torch.testing.assert_close(theirs(pixels), model(pixels).logits, rtol=1e-6, atol=1e-3)
