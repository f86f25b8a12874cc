"""What DINOv3's processor makes of an image, by hand, since transformers' own needs torchvision."""

from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional


def pixels_of_dinov3(said: Any, photo: Image.Image) -> Tensor:
    """-> c h w. It rescales first, then resizes floats, antialiased, then normalizes; ours resizes bytes first.

    Source: DINOv3's transform (arXiv:2508.10104), and transformers' DINOv3ViTImageProcessor.
    """
    assert Image.Resampling(said.resample) is Image.Resampling.BILINEAR
    image = torch.from_numpy(np.array(photo)).permute(2, 0, 1)[None] * said.rescale_factor
    size = (said.size["height"], said.size["width"])
    resized = functional.interpolate(image, size, mode="bilinear", antialias=True)[0]
    mean, std = (torch.tensor(values)[:, None, None] for values in (said.image_mean, said.image_std))
    return (resized - mean) / std
