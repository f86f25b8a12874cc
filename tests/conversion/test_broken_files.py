"""Files of weights that are none, or a part of them: a sentence that names the file, whatever lies in it."""

import json
import shutil
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny import tiny

from vit_hf import VisionTransformerForImageClassification
from vit_hf.conversion.core.checkpoint_files import open_checkpoint
from vit_hf.conversion.pretrained import load_any
from vit_hf.errors import UserError
from vit_hf.publishing.load_classifier import load_classifier

TENSOR = torch.zeros(2)
RECURSIVE: dict[str, Any] = {}
RECURSIVE["model"] = RECURSIVE
OF_TIMM = {
    "pos_embed": torch.zeros(1, 5, 8),
    "cls_token": torch.zeros(1, 1, 8),
    "patch_embed.proj.weight": torch.zeros(8, 3, 4, 4),
    "blocks.0.attn.qkv.weight": torch.zeros(24, 8),
}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({1: TENSOR}, "names tensors by what is no text .1., which no model does"),
        ({(1, 2): TENSOR}, "names tensors by what is no text"),
        ({b"a": TENSOR}, "names tensors by what is no text"),
        ({"model": {1: TENSOR}}, "names tensors by what is no text"),
        ({"a": TENSOR, 5: TENSOR}, "names tensors by what is no text .5."),
        (reduce(lambda inner, _: {"model": inner}, range(300), {1: TENSOR}), "names tensors by what is no text"),
        (RECURSIVE, "holds no weights|cannot be read|within itself"),
        (None, "holds no weights"),
        ([TENSOR], "holds no weights"),
        ({}, "holds no weights"),
        ({"a": TENSOR}, "holds no Vision Transformer that is known here"),
        (OF_TIMM, "blocks.0.mlp.fc1.weight' is missing"),
        ({"model.time_embed": TENSOR, "model.pos_embed": torch.zeros(1, 5, 8)}, "patch_embed.proj.weight' is missing"),
    ],
)
def test_a_pickle_of_something_else_is_a_sentence(tmp_path: Path, content: Any, sentence: str):
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(UserError, match=sentence) as refusal:
        load_any(str(tmp_path / "a.pth"))
    assert "a.pth" in str(refusal.value)


def test_arrays_that_are_no_weights_are_a_sentence(tmp_path: Path):
    arrays: Any = {"Transformer/encoder_norm/scale": np.zeros(3), "embedding/kernel": np.zeros(1)}
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(UserError, match=r"a\.npz begins like the weights of a Vision Transformer"):
        load_any(str(tmp_path / "a.npz"))
    dates: Any = {"embedding/kernel": np.array([1], dtype="M8[s]")}
    np.savez(tmp_path / "b.npz", **dates)
    with pytest.raises(UserError, match=r"under embedding/kernel no numbers, but datetime64"):
        open_checkpoint(tmp_path / "b.npz")["embedding/kernel"]


INDICES = ['{"weight_map": 5}', '{"weight_map": {"a": 5}}', '{"weight_map": {"a": null}}', "[]", '{"weight_map": {}}']
INDICES += [
    '{"weight_map": {"a": "model.safetensors.index.json"}}',
    "[" * 100_000,
    "null",
    '{"weight_map": {"a": "b"}}',
]


@pytest.mark.parametrize("index", INDICES, ids=lambda index: index[:40])
def test_an_index_of_shards_that_is_none_is_a_sentence(saved: Path, tmp_path: Path, index: str):
    folder = shutil.copytree(saved, tmp_path / "model")
    (folder / "model.safetensors").rename(folder / "model-00001-of-00001.safetensors")
    (folder / "model.safetensors.index.json").write_text(index)
    for load in (load_classifier, load_any, VisionTransformerForImageClassification.from_pretrained):
        with pytest.raises(UserError, match=r"index\.json|cannot be loaded"):
            load(str(folder))
    with pytest.raises(UserError, match=r"index\.json"):
        open_checkpoint(folder)


@pytest.mark.parametrize(
    "card", [b"---\nlicense: [\n---\n", b"---\n- mit\n---\n", b"\xff\xfe", b"---\n" + b"[" * 3000 + b"\n---\n"]
)
def test_a_card_that_cannot_be_read_leaves_the_license_unknown_and_says_so(saved: Path, tmp_path: Path, card, caplog):
    folder = shutil.copytree(saved, tmp_path / "model")
    (folder / "README.md").write_bytes(card)
    assert load_any(str(folder)).license is None
    assert "README.md cannot be read" in caplog.text


def test_what_is_whole_is_still_read(tmp_path: Path):
    model = tiny(VisionTransformerForImageClassification)
    model.save_pretrained(tmp_path, max_shard_size="20KB")
    assert len(json.loads((tmp_path / "model.safetensors.index.json").read_text())["weight_map"]) == 32
    assert torch.equal(open_checkpoint(tmp_path)["classifier.weight"], model.classifier.weight)
    again: Any = VisionTransformerForImageClassification.from_pretrained(tmp_path)
    assert torch.equal(again.classifier.weight, model.classifier.weight)
