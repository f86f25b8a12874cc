"""Trainings of a few steps, in memory and within a second."""

from pathlib import Path
from typing import Any

import torch
from tiny import shaken
from torch import Tensor
from torch.utils.data import Dataset

from vit_hf import VisionTransformerConfig, VisionTransformerForImageClassification
from vit_hf.training.problem import Problem
from vit_hf.training.recipe.arguments import TrainingArguments
from vit_hf.training.recipe.optimization import OptimizationSettings
from vit_hf.training.trainer.trainer import Trainer

NAMES = {0: "cat", 1: "dog", 2: "owl"}


def small_model(**fields: Any) -> VisionTransformerForImageClassification:
    config = {
        "image_size": 8,
        "patch_size": 4,
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "id2label": NAMES,
    }
    torch.manual_seed(0)
    model = VisionTransformerForImageClassification(VisionTransformerConfig(**{**config, **fields}))
    shaken(model)
    return model


class Noise(Dataset):
    """Random images, with labels that are whole numbers, or shares."""

    def __init__(self, count: int, *, shares: bool = False):
        numbers = torch.Generator().manual_seed(1)
        self.pixels = torch.randn(count, 3, 8, 8, generator=numbers)
        self.labels = torch.randint(len(NAMES), (count,), generator=numbers)
        if shares:
            self.labels = torch.rand(count, len(NAMES), generator=numbers).softmax(-1)

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitems__(self, indices: list[int]) -> dict[str, Tensor]:
        return {"pixel_values": self.pixels[indices], "labels": self.labels[indices]}


def trainer_of(
    model: Any,
    folder: Path,
    optimization: Any = None,
    *,
    data: Dataset | None = None,
    eval_data: Dataset | None = None,
    problem: Problem | None = None,
    **arguments: Any,
):
    defaults = {
        "output_dir": str(folder),
        "max_steps": 2,
        "per_device_train_batch_size": 4,
        "learning_rate": 1e-2,
        "lr_scheduler_type": "constant",
        "save_strategy": "no",
        "logging_steps": 1,
        "disable_tqdm": True,
        "use_cpu": True,
    }
    return Trainer(
        model=model,
        args=TrainingArguments(**{**defaults, **arguments}),
        train_dataset=data if data is not None else Noise(16),
        eval_dataset=eval_data if eval_data is not None else Noise(8),
        optimization=OptimizationSettings(**optimization or {}),
        problem=problem,
    )


def weights_of(model: Any) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}
