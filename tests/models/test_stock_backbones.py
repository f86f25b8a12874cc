"""The backbones in models of transformers' that read feature maps, and the tokens that some of them ask for."""

from typing import Any

import pytest
import torch
from tiny import images, tiny_config, tiny_swin_config
from torch import Tensor
from transformers import (
    DepthAnythingConfig,
    DepthAnythingForDepthEstimation,
    DetrConfig,
    DetrForObjectDetection,
    DPTConfig,
    DPTForDepthEstimation,
    Mask2FormerConfig,
    Mask2FormerForUniversalSegmentation,
    MaskFormerConfig,
    MaskFormerForInstanceSegmentation,
    RTDetrConfig,
    RTDetrForObjectDetection,
    UperNetConfig,
    UperNetForSemanticSegmentation,
)
from transformers.backbone_utils import BackboneMixin

from vit_hf import VisionTransformerBackbone

SIDE = 64
FOUR = {"num_hidden_layers": 4, "out_indices": [1, 2, 3, 4]}
DETR = {
    **{f"{part}_{word}": size for part in ("encoder", "decoder") for word, size in (("layers", 1), ("ffn_dim", 16))},
    **{f"{part}_attention_heads": 2 for part in ("encoder", "decoder")},
    "d_model": 16,
    "num_queries": 4,
}


def depth_anything(backbone: Any) -> Any:
    sizes: dict[str, Any] = {"neck_hidden_sizes": [8, 8, 8, 8], "fusion_hidden_size": 8, "head_hidden_size": 4}
    words: dict[str, Any] = {"reassemble_hidden_size": backbone.hidden_size, "patch_size": 8}
    words["depth_estimation_type"] = "metric"  # whose last step is no ReLU, which could let no gradient through
    return DepthAnythingForDepthEstimation(DepthAnythingConfig(backbone_config=backbone, **sizes, **words))


def dpt(backbone: Any) -> Any:
    sizes: dict[str, Any] = {"neck_hidden_sizes": [8, 8, 8, 8], "fusion_hidden_size": 8, "hidden_size": 32}
    words: dict[str, Any] = {"is_hybrid": False, "image_size": SIDE, "patch_size": 8, "readout_type": "ignore"}
    return DPTForDepthEstimation(DPTConfig(backbone_config=backbone, **sizes, **words))


def upernet(backbone: Any) -> Any:
    words: dict[str, Any] = {"hidden_size": 8, "use_auxiliary_head": False, "num_labels": 3, "pool_scales": [1]}
    return UperNetForSemanticSegmentation(UperNetConfig(backbone_config=backbone, **words))


def maskformer(backbone: Any) -> Any:
    words: dict[str, Any] = {**DETR}
    sizes: dict[str, Any] = {"fpn_feature_size": 32, "mask_feature_size": 32, "num_labels": 3}
    decoder = DetrConfig(
        backbone_config=backbone, **words
    )  # or it would ask for its usual one, which it has no use for
    return MaskFormerForInstanceSegmentation(
        MaskFormerConfig(backbone_config=backbone, decoder_config=decoder, **sizes)
    )


def mask2former(backbone: Any) -> Any:
    sizes = dict.fromkeys(("feature_size", "mask_feature_size", "hidden_dim", "dim_feedforward"), 32)
    words: dict[str, Any] = {"encoder_layers": 1, "decoder_layers": 2, "num_attention_heads": 2, "num_labels": 3}
    more: dict[str, Any] = {"encoder_feedforward_dim": 16, "num_queries": 4, "train_num_points": 16}
    return Mask2FormerForUniversalSegmentation(Mask2FormerConfig(backbone_config=backbone, **sizes, **words, **more))


def detr(backbone: Any) -> Any:
    words: dict[str, Any] = {"num_labels": 3, **DETR}
    return DetrForObjectDetection(DetrConfig(backbone_config=backbone, **words))


def rt_detr(backbone: Any) -> Any:
    levels = len(backbone.out_indices)
    widths = [backbone.hidden_size // 2**step for step in reversed(range(levels))]
    scales: dict[str, Any] = {"encoder_in_channels": widths, "feat_strides": [4, 8, 16][-levels:]}
    scales |= {"decoder_in_channels": [16] * levels, "num_feature_levels": levels, "encode_proj_layers": [levels - 1]}
    words: dict[str, Any] = {"encoder_hidden_dim": 16, "num_denoising": 0, "num_labels": 3, **DETR}
    return RTDetrForObjectDetection(RTDetrConfig(backbone_config=backbone, **scales, **words))


def swin(*stages: int) -> Any:
    return tiny_swin_config(image_size=SIDE, depths=[1] * 4, num_heads=[2] * 4, out_indices=list(stages))


def boxes() -> dict[str, Any]:
    two = torch.tensor([[0.5, 0.5, 0.2, 0.2], [0.3, 0.3, 0.1, 0.1]])
    return {"labels": [{"class_labels": torch.tensor([0, 1]), "boxes": two}] * 2}


def masks() -> dict[str, Any]:
    areas = [torch.randint(0, 2, (2, SIDE, SIDE)).float() for _ in range(2)]
    return {"mask_labels": areas, "class_labels": [torch.tensor([0, 1])] * 2}


def areas() -> dict[str, Any]:
    return {"labels": torch.randint(0, 3, (2, SIDE, SIDE))}


# A plain ViT has one scale: of RT-DETR it fills one level, where Swin fills three.
CASES = {
    "depth anything": (depth_anything, tiny_config(**FOUR, reshape_hidden_states=False), dict),
    "dpt": (dpt, tiny_config(**FOUR, reshape_hidden_states=False), dict),
    "upernet": (upernet, tiny_config(**FOUR), areas),
    "upernet on swin": (upernet, swin(1, 2, 3, 4), areas),
    "maskformer": (maskformer, tiny_config(**FOUR), masks),
    "maskformer on swin": (maskformer, swin(1, 2, 3, 4), masks),
    "mask2former": (mask2former, tiny_config(**FOUR), masks),
    "mask2former on swin": (mask2former, swin(1, 2, 3, 4), masks),
    "detr": (detr, tiny_config(), boxes),
    "detr on swin": (detr, swin(4), boxes),
    "rt-detr": (rt_detr, tiny_config(), boxes),
    "rt-detr on swin": (rt_detr, swin(2, 3, 4), boxes),
}


def tensors(outputs: Any) -> dict[str, Tensor]:
    return {name: value for name, value in outputs.items() if isinstance(value, Tensor)}


@pytest.mark.parametrize("case", CASES)
def test_a_model_of_transformers_learns_on_our_backbone_and_comes_back(case, tmp_path):
    build, backbone, labels = CASES[case]
    model = build(backbone)
    pixels, targets = images(height=SIDE, width=SIDE), labels()
    outputs = model.train()(pixels, **targets)
    (outputs.loss if targets else outputs.predicted_depth.square().mean()).backward()
    encoder: Any = next(part for part in model.modules() if isinstance(part, BackboneMixin))
    assert type(encoder).__module__.startswith("vit_hf.")
    for name, parameter in encoder.named_parameters():
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name

    with torch.no_grad():
        found = tensors(model.eval()(pixels))
    model.save_pretrained(tmp_path)
    again = type(model).from_pretrained(tmp_path).eval()
    states = model.state_dict()
    assert all(torch.equal(value, states.pop(name)) for name, value in again.state_dict().items())
    assert not states
    with torch.no_grad():  # some processors round products by where in memory a weight begins
        torch.testing.assert_close(tensors(again(pixels)), found, rtol=1e-6, atol=1e-6)


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
