"""Clips come to the model as transformers' own processor of TimeSformer would bring them."""

import numpy as np
import pytest
import torch
from PIL import Image
from transformers.models.timesformer.video_processing_timesformer import TimesformerVideoProcessor

from vit_hf import TimeSformerVideoProcessor

MEAN, STD = [0.45] * 3, [0.225] * 3
LEVEL = 1 / 255 / min(STD)  # one of 256 levels of brightness, in normalized pixels
ARITHMETIC = {"image_mean": MEAN, "image_std": STD}
# None differs from its middle by an odd number of pixels, where transformers cuts half a pixel off to the other side.
EVEN_SIZES = [(240, 320), (320, 240), (226, 400), (224, 224)]


def smooth(height: int, width: int) -> np.ndarray:
    """t h w c: where noise overshoots black and white, the two libraries clip it differently."""
    noise = np.random.default_rng(height).integers(0, 256, (8, 8, 8, 3), np.uint8)
    return np.stack([np.asarray(Image.fromarray(frame).resize((width, height), 2)) for frame in noise])


def ours_and_theirs(video: np.ndarray, **options) -> list[torch.Tensor]:
    theirs = TimesformerVideoProcessor(**ARITHMETIC, **options)
    return [
        made(video, return_tensors="pt")["pixel_values"]
        for made in (TimeSformerVideoProcessor(**ARITHMETIC, **options), theirs)
    ]


@pytest.mark.parametrize(("height", "width"), EVEN_SIZES)
def test_without_resizing_the_pixels_are_the_same(height, width):
    ours, theirs = ours_and_theirs(smooth(height, width), do_resize=False)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("height", "width"), [(480, 640), (360, 270), (160, 160), (120, 200)])
def test_resized_frames_differ_by_a_level_of_brightness_at_most(height, width):
    ours, theirs = ours_and_theirs(smooth(height, width), size={"shortest_edge": 224})
    assert ours.shape == theirs.shape == (1, 8, 3, 224, 224)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=LEVEL + 1e-6)
