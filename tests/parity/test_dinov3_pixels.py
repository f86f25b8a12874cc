"""Where torchvision is, the oracle by hand of DINOv3's pixels is transformers' own processor."""

from types import SimpleNamespace

import pytest
import torch
from conversion.dinov3_pixels import pixels_of_dinov3
from conversion.published_pairs import DINOV3_JSON
from transformers.models.dinov3_vit.image_processing_dinov3_vit import DINOv3ViTImageProcessor

from vit_hf.conversion.core.pixels import photographs


@pytest.mark.parametrize("size", [224, 384])
def test_the_pixels_by_hand_are_those_of_transformers_processor(size):
    said = {**DINOV3_JSON, "size": {"height": size, "width": size}}
    theirs = DINOv3ViTImageProcessor(**{name: value for name, value in said.items() if name != "image_processor_type"})
    for photo in photographs():
        expected = theirs(photo, return_tensors="pt")["pixel_values"][0]
        torch.testing.assert_close(pixels_of_dinov3(SimpleNamespace(**said), photo), expected, rtol=0, atol=1e-6)
