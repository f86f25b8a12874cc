"""Norms in float32 in a model of bfloat16, as some recipes have it."""

from typing import Any

import pytest
import torch
from tiny import V2, clips, images, tiny, tiny_swin, tiny_timesformer
from torch import nn

import vit_hf

CASES: dict[str, Any] = {
    "vit": lambda: (tiny(vit_hf.VisionTransformerForImageClassification), images()),
    "conv": lambda: (tiny(vit_hf.VisionTransformerForImageClassification, patch_embedding="conv"), images()),
    "dual norm": lambda: (tiny(vit_hf.VisionTransformerForImageClassification, dual_patch_norm=True), images()),
    "pre-norm": lambda: (tiny(vit_hf.VisionTransformerForImageClassification, pre_norm=True), images()),
    "qk norm": lambda: (tiny(vit_hf.VisionTransformerForImageClassification, qk_norm=True), images()),
    "attention pool": lambda: (tiny(vit_hf.VisionTransformerForImageClassification, pooling="attention"), images()),
    "swin": lambda: (tiny_swin(vit_hf.SwinTransformerForImageClassification), images()),
    "swin v2": lambda: (tiny_swin(vit_hf.SwinTransformerForImageClassification, **V2), images()),
    "timesformer": lambda: (tiny_timesformer(vit_hf.TimeSformerForVideoClassification), clips()),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_norms_of_float32_in_a_model_of_bfloat16_answer_and_learn(case, dtype):
    model, pixels = CASES[case]()
    expected = model(pixels).logits
    model.bfloat16()
    for module in model.modules():
        if isinstance(module, nn.LayerNorm):
            module.float()
    outputs = model.train()(pixels.to(dtype), labels=torch.tensor([0, 1]))
    outputs.loss.backward()
    assert outputs.logits.dtype == torch.bfloat16
    torch.testing.assert_close(outputs.logits.float(), expected, rtol=0, atol=0.15)
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters() if parameter.grad is not None)
