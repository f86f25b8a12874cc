"""Our Grad-CAM gives the heat that pytorch-grad-cam gives for timm's model of the same weights."""

import sys
from types import SimpleNamespace
from unittest import mock

import pytest
import torch
from parity.comparing import NUM_LABELS, SINGLE, assert_equal, randomise
from timm.models.swin_transformer import SwinTransformer
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from vit_hf import explain
from vit_hf.conversion import from_timm

# It imports OpenCV, which takes 90 MB, to grow heat to pixels; here heat stays that of patches.
with mock.patch.dict(sys.modules, {"cv2": SimpleNamespace(COLORMAP_JET=2)}):
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

SIZE = (32, 48)
LABELS = torch.arange(NUM_LABELS)  # each of another image


def of_patches(model: nn.Module, layer: nn.Module, pixels: Tensor, grid: tuple[int, int]) -> Tensor:
    """b c h w -> b h w of a layer's grid, from 0 to 1: their heat for the labels"""

    def placed(tokens: Tensor) -> Tensor:
        return tokens[:, -grid[0] * grid[1] :].unflatten(1, grid).movedim(-1, 1)

    with GradCAM(model, [layer], reshape_transform=placed) as method:
        method.get_target_width_height = lambda _: None  # no size to grow to
        return torch.from_numpy(method(pixels, [ClassifierOutputTarget(int(label)) for label in LABELS]))


def assert_same_heat(theirs: nn.Module, layer: nn.Module, grid: tuple[int, int]) -> None:
    randomise(theirs)
    theirs.double().eval()
    pixels = torch.randn(len(LABELS), 3, *SIZE, dtype=torch.float64)
    found = explain(from_timm(theirs), pixels, method="grad_cam", target=LABELS)
    expected = of_patches(theirs, layer, pixels, grid)
    assert found.maps.shape[1:] == grid
    assert ((expected > 0).flatten(1).sum(1) > 1).any()  # of random weights some images have no heat
    assert_equal(found.heat(grid), expected, 10 * SINGLE)  # sums of single precision


@pytest.mark.parametrize(
    "words",
    [
        {},
        {"reg_tokens": 2},
        {"global_pool": "avg"},
        {"global_pool": "avg", "class_token": False},
        {"global_pool": "map"},
    ],
    ids=str,
)
def test_heat_of_the_last_attentions_norm_is_the_same(words):
    theirs = VisionTransformer(
        SIZE, (4, 8), num_classes=NUM_LABELS, embed_dim=24, depth=3, num_heads=3, mlp_ratio=2, **words
    )
    assert_same_heat(theirs, theirs.blocks[-1].norm1, (8, 6))


def test_heat_of_swins_last_norm_is_the_same():
    theirs = SwinTransformer(
        SIZE, 2, num_classes=NUM_LABELS, embed_dim=16, depths=(2, 2), num_heads=(2, 4), window_size=4, mlp_ratio=2
    )
    assert_same_heat(theirs, theirs.layers[-1].blocks[-1].norm2, (8, 12))
