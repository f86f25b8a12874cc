from pathlib import Path

import pytest
import torch
from datasets import Dataset
from tiny import V2, tiny_swin

from vit_hf import (
    SwinTransformerForImageClassification,
    VisionTransformerConfig,
    VisionTransformerForImageClassification,
)
from vit_hf.training.recipe.arguments import TrainingArguments
from vit_hf.training.trainer.trainer import Trainer


def tiny_model() -> VisionTransformerForImageClassification:
    return VisionTransformerForImageClassification(
        VisionTransformerConfig(
            image_size=8,
            patch_size=4,
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=32,
            num_register_tokens=1,
            layer_scale_init_value=0.1,
            id2label={0: "cat", 1: "dog"},
        )
    )


def arguments(folder: Path) -> TrainingArguments:
    return TrainingArguments(output_dir=str(folder), max_steps=2, per_device_train_batch_size=2, disable_tqdm=True)


def test_columns_made_on_the_fly_survive_to_the_collator(tmp_path: Path):
    def prepare(rows: dict) -> dict:
        return {"pixel_values": [torch.full((3, 8, 8), value) for value in rows["gray"]], "labels": rows["kind"]}

    data = Dataset.from_dict({"gray": [0.0, 1.0, 0.0, 1.0], "kind": [0, 1, 0, 1]}).with_transform(prepare)
    trainer = Trainer(model=tiny_model(), args=arguments(tmp_path), train_dataset=data, eval_dataset=data)
    assert trainer.train().global_step == 2
    assert 0 <= trainer.evaluate()["eval_accuracy"] <= 1


def test_a_missing_column_is_named_and_not_lost_in_a_stack_of_frames(tmp_path: Path):
    data = Dataset.from_dict({"pixels": [[0.0]] * 4, "labels": [0, 1, 0, 1]})
    trainer = Trainer(model=tiny_model(), args=arguments(tmp_path), train_dataset=data)
    with pytest.raises(ValueError, match="column 'pixel_values' is missing"):
        trainer.train()


def test_only_matrices_decay(tmp_path: Path):
    model = tiny_model()
    names = Trainer(model=model, args=arguments(tmp_path)).get_decay_parameter_names(model)
    shapes = dict(model.named_parameters())
    assert all(shapes[name].ndim >= 2 for name in names)
    assert [name for name in shapes if "token" in name or "position" in name] != []
    assert not [name for name in names if "token" in name or "position" in name or "norm" in name]
    assert "classifier.weight" in names


def test_what_makes_biases_of_steps_does_not_decay(tmp_path: Path):
    """As in Swin V2's released code."""
    model = tiny_swin(SwinTransformerForImageClassification, **V2)
    names = Trainer(model=model, args=arguments(tmp_path)).get_decay_parameter_names(model)
    assert "swin.stages.0.layers.0.attention.qkv.weight" in names
    assert not [name for name in names if "relative_bias" in name or "norm" in name]


def test_a_saved_model_holds_weights_and_code_and_no_pickle(tmp_path: Path):
    trainer = Trainer(model=tiny_model(), args=arguments(tmp_path))
    trainer.save_model()
    assert (tmp_path / "model.safetensors").is_file()
    assert (tmp_path / "modeling_vit.py").is_file()
    assert not [*tmp_path.glob("*.bin"), *tmp_path.glob("*.pt"), *tmp_path.glob("*.pkl")]
