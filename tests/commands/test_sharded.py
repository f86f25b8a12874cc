"""A whole training of which each process holds a shard (FSDP2), beside the same one in a single process."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from processes import FSDP2, finish_recipe
from safetensors.torch import load_file
from tiny import tiny
from torch import nn

from vit_hf import (
    SwinTransformerConfig,
    SwinTransformerModel,
    TimeSformerConfig,
    TimeSformerModel,
    VisionTransformerForImageClassification,
    VisionTransformerForMaskedImageModeling,
)
from vit_hf.runs.setup import prepare
from vit_hf.runs.train import train_prepared
from vit_hf.training.recipe.recipe import load_recipe
from vit_hf.training.trainer.callbacks import reproducible
from vit_hf.training.trainer.sharding import layers_to_shard

TINY = {"image_size": 8, "patch_size": 4, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """Four steps of 16 digits, with an average that is evaluated on the way and becomes the finished model."""
    training = {"max_steps": 4, "logging_steps": 1, "eval_strategy": "steps", "eval_steps": 2, "save_strategy": "no"}
    sections = {
        "model": {**TINY, "intermediate_size": 32},
        "data": {"name": "digits"},
        "optimization": {"batch_size": 16, "ema": {"decay": 0.5}},
        "training": {**training, "learning_rate": 1e-2, "disable_tqdm": True, "use_cpu": True},
    }
    path = tmp_path / "recipe.yaml"
    path.write_text(json.dumps(sections))
    return path


def evaluations(folder: Path) -> list[dict[str, Any]]:
    return [
        line
        for line in reproducible((folder / "metrics.jsonl").read_text())
        if "eval_loss" in line or "eval_ema_loss" in line
    ]


def test_shards_are_evaluated_with_their_average_and_end_as_one_process_does(recipe: Path, tmp_path: Path):
    alone, sharded = tmp_path / "alone", tmp_path / "sharded"
    train_prepared(prepare(load_recipe(recipe, ["--training.output_dir", str(alone)]))).place()
    finish_recipe(2, recipe, "--training.output_dir", str(sharded), environment=FSDP2)
    together, expected = evaluations(sharded), evaluations(alone)
    assert [sorted(line) for line in together] == [sorted(line) for line in expected]
    for found, wanted in zip(together, expected, strict=True):
        losses = [name for name in wanted if name.endswith("loss")]
        assert [found[name] for name in losses] == pytest.approx([wanted[name] for name in losses], rel=1e-5)
    assert {name for line in together for name in line} > {"eval_loss", "eval_ema_loss"}
    weights = [load_file(folder / "model.safetensors") for folder in (sharded, alone)]
    assert weights[0].keys() == weights[1].keys()
    for name, tensor in weights[0].items():
        apart = (tensor - weights[1][name]).abs()
        if name.endswith("qkv.bias"):
            # The biases of keys cancel in the softmax: their gradients are rounding, which Adam makes steps of.
            apart = apart.unflatten(0, (3, -1))[[0, 2]]
        assert apart.max() <= 1e-5, name


def test_the_layers_of_every_kind_of_model_are_sharded_one_by_one_and_the_patches_by_accelerate():
    for kind in (VisionTransformerForImageClassification, VisionTransformerForMaskedImageModeling):
        assert layers_to_shard(tiny(kind)) == ["Block"]
    with torch.device("meta"):
        assert layers_to_shard(SwinTransformerModel(SwinTransformerConfig())) == ["Block", "PatchMerging"]
        second = SwinTransformerModel(SwinTransformerConfig(block="post_norm"))
        assert layers_to_shard(second) == ["PatchMerging", "PostNormBlock"]
        for kind, layer in {"divided_space_time": "DividedBlock", "joint_space_time": "Block"}.items():
            clips = TimeSformerModel(TimeSformerConfig(attention_type=kind))  # pyright: ignore[reportArgumentType]
            assert layers_to_shard(clips) == [layer]
    assert layers_to_shard(nn.Linear(2, 2)) is None
