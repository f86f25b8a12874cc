"""Runs of a moment's length that have everything random in them: augmentation, dropout, drop path, workers."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import TrainerCallback, set_seed

from vit_hf import VisionTransformerConfig, VisionTransformerForImageClassification
from vit_hf.data.augment.plan import AugmentationPlan, MixSettings
from vit_hf.data.batches.cache import PixelStore
from vit_hf.data.batches.dataset import ImageBatches
from vit_hf.data.decode.preparation import Preparation
from vit_hf.data.decode.processors import make_image_processor
from vit_hf.data.sources.tables import ImageTable
from vit_hf.training.recipe.arguments import TrainingArguments
from vit_hf.training.recipe.optimization import OptimizationSettings
from vit_hf.training.trainer.trainer import Trainer

IMAGES, BATCH = 22, 4  # 6 steps an epoch, the last of them filled up
AUGMENTATIONS = {"flip": 0.5, "shift": 0.2, "rotate": 20.0, "erase": 0.25}
MIX = MixSettings(mixup=0.8, cutmix=1.0)


def small_model(**settings: Any) -> VisionTransformerForImageClassification:
    sizes = {"image_size": 8, "patch_size": 4, "num_channels": 1, "hidden_size": 16, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 2, "intermediate_size": 32, "id2label": {0: "cat", 1: "dog"}}
    randomness = {"hidden_dropout_prob": 0.2, "drop_path_rate": 0.2}
    return VisionTransformerForImageClassification(
        VisionTransformerConfig(**{**sizes, **heads, **randomness, **settings})
    )


def small_images(plan: AugmentationPlan | None = None, *, images: int = IMAGES, seed: int = 0) -> ImageBatches:
    pixels = np.random.default_rng(0).integers(0, 256, (images, 1, 8, 8), dtype=np.uint8)
    table = ImageTable.of(
        list(pixels),
        np.arange(images) % 2,
        source=lambda item, name: Image.fromarray(item[0]),
        name=lambda item, row: f"train[{row}]",
    )
    processor = make_image_processor(small_model().config, mean=[0.5], std=[0.5])
    preparation = Preparation(processor, 1)
    return ImageBatches(table, preparation, store=PixelStore.of(list(pixels)), plan=plan, classes=2, seed=seed)


def small_arguments(folder: Path, **settings: Any) -> TrainingArguments:
    usual = {
        "output_dir": str(folder),
        "num_train_epochs": 3,
        "per_device_train_batch_size": BATCH,
        "per_device_eval_batch_size": IMAGES,
        "learning_rate": 1e-2,
        "logging_steps": 4,
        "save_steps": 3,
        "disable_tqdm": True,
        "use_cpu": True,
    }
    return TrainingArguments(**{**usual, **settings})


class Averages(TrainerCallback):
    """Averaged weights, as a part that checkpoints keep."""

    def __init__(self):
        self.weights: dict[str, torch.Tensor] = {}
        self.steps = 0

    def on_train_begin(self, args, state, control, model: Any = None, **kwargs):
        self.weights = {name: weight.detach().clone() for name, weight in model.named_parameters()}

    def on_step_end(self, args, state, control, model: Any = None, **kwargs):
        self.steps += 1
        for name, weight in model.named_parameters():
            self.weights[name].lerp_(weight.detach(), 0.3)

    def state_dict(self) -> dict[str, Any]:
        return {**self.weights, "steps": self.steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.steps = state.pop("steps")
        self.weights = state


class Killed(BaseException):
    """Ends a run in the middle of a step, as a kill would, but within the process."""


class KillAt(TrainerCallback):
    def __init__(self, step: int):
        self.step = step

    def on_step_begin(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            raise Killed


def small_trainer(folder: Path, *callbacks: TrainerCallback, recipe: dict | None = None, **settings: Any) -> Trainer:
    """The same weights, images and averages every time."""
    anyway = settings.pop("resume_anyway", False)
    model_settings = settings.pop("model", {})
    optimization = settings.pop("optimization", {"ema": {"decay": 0.9, "final": False}})
    set_seed(0)
    return Trainer(
        model=small_model(**model_settings),
        args=small_arguments(folder, **settings),
        train_dataset=small_images(AugmentationPlan.of(AUGMENTATIONS, MIX)),
        eval_dataset=small_images(),
        callbacks=list(callbacks),
        optimization=OptimizationSettings(**optimization),
        recipe=recipe,
        resume_anyway=anyway,
    )
