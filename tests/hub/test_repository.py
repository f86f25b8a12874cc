from pathlib import Path
from typing import Any

import torch
from tiny import images, tiny

from vit_hf import VisionTransformerForImageClassification
from vit_hf.hub.repository import split_weights, weight_files


def test_shards_hold_the_same_model_each_below_the_limit(tmp_path: Path):
    model: Any = tiny(VisionTransformerForImageClassification)
    model.save_pretrained(tmp_path)
    whole = tmp_path / "model.safetensors"
    assert split_weights(whole, tmp_path, whole.stat().st_size) == []
    names = split_weights(whole, tmp_path, 30_000)
    whole.unlink()
    assert sorted(names) == sorted(weight_files(tmp_path))
    sizes = [(tmp_path / name).stat().st_size for name in names[1:]]
    assert len(sizes) > 2
    assert max(sizes) < 32_000  # and a header
    pixels = images()
    again: Any = VisionTransformerForImageClassification.from_pretrained(tmp_path)
    assert torch.equal(again(pixels).logits, model(pixels).logits)
