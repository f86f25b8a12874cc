"""The backbones in models of transformers' that read feature maps, and the tokens that some of them ask for."""

from typing import Any

import pytest
import torch
from tiny import images, tiny_config, tiny_swin_config
from transformers import (
    DepthAnythingConfig,
    DepthAnythingForDepthEstimation,
    DPTConfig,
    DPTForDepthEstimation,
    UperNetConfig,
    UperNetForSemanticSegmentation,
)

from vit_hf import VisionTransformerBackbone

FOUR = {"num_hidden_layers": 4, "out_indices": [1, 2, 3, 4]}


def depth_anything(backbone: Any) -> Any:
    sizes: dict[str, Any] = {"neck_hidden_sizes": [8, 8, 8, 8], "fusion_hidden_size": 8, "head_hidden_size": 4}
    words: dict[str, Any] = {"reassemble_hidden_size": backbone.hidden_size, "patch_size": 8}
    return DepthAnythingForDepthEstimation(
        DepthAnythingConfig(backbone_config=backbone, **sizes, **words)
    ), "predicted_depth"


def dpt(backbone: Any) -> Any:
    sizes: dict[str, Any] = {"neck_hidden_sizes": [8, 8, 8, 8], "fusion_hidden_size": 8, "hidden_size": 32}
    words: dict[str, Any] = {"is_hybrid": False, "image_size": 32, "patch_size": 8, "readout_type": "ignore"}
    return DPTForDepthEstimation(DPTConfig(backbone_config=backbone, **sizes, **words)), "predicted_depth"


def upernet(backbone: Any) -> Any:
    words: dict[str, Any] = {"hidden_size": 8, "use_auxiliary_head": False, "num_labels": 3, "pool_scales": [1]}
    return UperNetForSemanticSegmentation(UperNetConfig(backbone_config=backbone, **words)), "logits"


CASES = {
    "depth anything": (depth_anything, tiny_config(**FOUR, reshape_hidden_states=False)),
    "dpt": (dpt, tiny_config(**FOUR, reshape_hidden_states=False)),
    "upernet": (upernet, tiny_config(**FOUR)),
    "upernet on swin": (upernet, tiny_swin_config(depths=[1] * 4, num_heads=[2] * 4, out_indices=[1, 2, 3, 4])),
}


@pytest.mark.parametrize("case", CASES)
def test_a_model_of_transformers_works_on_our_backbone_and_comes_back(case, tmp_path):
    build, backbone = CASES[case]
    model, output = build(backbone)
    model = model.eval()
    pixels = images()
    with torch.no_grad():
        found = getattr(model(pixels), output)
    assert found.isfinite().all()
    assert found.shape[-1] % 32 == 0
    model.save_pretrained(tmp_path)
    again = type(model).from_pretrained(tmp_path).eval()
    with torch.no_grad():
        assert torch.equal(getattr(again(pixels), output), found)


def test_tokens_left_as_they_are_hold_the_maps():
    maps, tokens = (
        VisionTransformerBackbone(tiny_config(**FOUR, num_register_tokens=2, reshape_hidden_states=reshape))
        for reshape in (True, False)
    )
    tokens.load_state_dict(maps.state_dict())
    pixels = images()
    for one, other in zip(maps(pixels).feature_maps, tokens(pixels).feature_maps, strict=True):
        assert other.shape == (2, 3 + 16, 32)
        torch.testing.assert_close(one.flatten(2).mT, other[:, 3:])


def test_the_stride_of_masked_images_is_the_patch():
    config = tiny_config(encoder_stride=8)
    assert config.encoder_stride == config.patch_size == 8
    config.update({"image_size": 64, "patch_size": 16, "encoder_stride": 16})
    with pytest.raises(ValueError, match="encoder_stride=32 is not patch_size=16"):
        config.update({"encoder_stride": 32})
