import copy
from typing import Any

import pytest
import torch
from tiny import tiny

from vit_hf import VisionTransformerForImageClassification, VisionTransformerModel
from vit_hf.conversion.core.parity import compare, our_runnable, sample_images


def twins(**fields) -> tuple[Any, Any]:
    one = tiny(VisionTransformerForImageClassification, **fields)
    return one, copy.deepcopy(one)


def test_a_model_is_equal_to_its_copy_at_every_block():
    one, other = twins()
    report = compare(our_runnable(one), our_runnable(other), sample_images(one.config))
    assert report.passed
    assert [difference.place for difference in report.differences] == ["block 1", "block 2", "tokens", "logits"]
    assert report.top1_agreement == 1.0
    assert report.to_dict()["differences"][0] == {"place": "block 1", "absolute": 0.0, "relative": 0.0}


def test_a_changed_layer_shows_from_there_on():
    one, other = twins()
    with torch.no_grad():
        other.vit.layers[1].feed_forward.outer.bias[0] += 0.5
    report = compare(our_runnable(one), our_runnable(other), sample_images(one.config))
    before, after, *_ = report.differences
    assert before.absolute == 0
    assert after.absolute == pytest.approx(0.5, rel=1e-5)
    assert not report.passed
    assert report.worst.absolute >= 0.5
    assert "NOT equal within 0.0001" in str(report)


def test_double_precision_is_held_to_more_and_half_is_compared_in_single():
    one, other = twins()
    with torch.no_grad():
        other.classifier.bias += 1e-6
    images = sample_images(one.config)
    assert compare(our_runnable(one), our_runnable(other), images).passed
    assert not compare(our_runnable(one.double()), our_runnable(other.double()), images).passed
    report = compare(our_runnable(one.bfloat16()), our_runnable(other.bfloat16()), images)
    assert (report.dtype, report.weights_dtype, report.bound) == ("float32", "bfloat16", 1e-4)
    assert one.dtype == torch.bfloat16  # given back as it came


def test_nan_is_not_equal():
    one, other = twins()
    with torch.no_grad():
        other.classifier.bias[0] = float("nan")
    assert not compare(our_runnable(one), our_runnable(other), sample_images(one.config)).passed


def test_models_of_another_depth_cannot_be_compared():
    one = tiny(VisionTransformerModel)
    with pytest.raises(ValueError, match="differ in depth"):
        compare(
            our_runnable(one),
            our_runnable(tiny(VisionTransformerModel, num_hidden_layers=3)),
            sample_images(one.config),
        )


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_images_are_random_and_real_of_any_channels(channels):
    images = sample_images(tiny(VisionTransformerModel, num_channels=channels, image_size=[32, 16]).config)
    assert images.shape == (4, channels, 32, 16)
    assert images[2:].abs().max() <= 1
    assert torch.equal(
        images, sample_images(tiny(VisionTransformerModel, num_channels=channels, image_size=[32, 16]).config)
    )
