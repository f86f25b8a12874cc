"""Runs of every family with everything random in them, and, as a program, such a run to be killed or to be one of two.

`python tests/gpu/runs.py '{"folder": ..., "family": ..., "resume": false, "dies_at_step": 8, "settings": {...}}'`
"""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from transformers import TrainerCallback, set_seed

from vit_hf import (
    SwinTransformerConfig,
    SwinTransformerForImageClassification,
    TimeSformerConfig,
    TimeSformerForVideoClassification,
    VisionTransformerConfig,
    VisionTransformerForImageClassification,
)
from vit_hf.data.augment.plan import AugmentationPlan, MixSettings
from vit_hf.data.batches.cache import PixelStore
from vit_hf.data.batches.dataset import ImageBatches
from vit_hf.data.decode.preparation import ClipPreparation, Preparation
from vit_hf.data.decode.processors import make_image_processor, make_video_processor
from vit_hf.data.sources.tables import ImageTable
from vit_hf.modality import IMAGE, VIDEO
from vit_hf.training.recipe.arguments import TrainingArguments
from vit_hf.training.recipe.optimization import OptimizationSettings
from vit_hf.training.trainer.trainer import Trainer

SIDE, BATCH = 32, 16
AUGMENTATIONS = {"flip": 0.5, "pad_and_crop": 4, "randaugment": {"n": 2, "magnitude": 9, "noise": 0.5}, "erase": 0.25}
NAMES = {0: "cat", 1: "dog", 2: "owl"}
VIT = {"image_size": SIDE, "patch_size": 4, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
SWIN = {"image_size": SIDE, "patch_size": 2, "embed_dim": 32, "depths": [2, 2], "num_heads": [1, 2], "window_size": 4}
CLIPS = {"image_size": SIDE, "patch_size": 8, "num_frames": 4, "hidden_size": 64, "num_attention_heads": 2}
NARROW = {"intermediate_size": 128, "hidden_dropout_prob": 0.1, "drop_path_rate": 0.2, "id2label": NAMES}


def model_to_train(family: str, **fields: Any) -> Any:
    if family == "swin":
        own = {**SWIN, "hidden_dropout_prob": 0.1, "drop_path_rate": 0.2, "id2label": NAMES}
        return SwinTransformerForImageClassification(SwinTransformerConfig(**{**own, **fields}))
    if family == "timesformer":
        own = {**CLIPS, **NARROW, "num_hidden_layers": 2}
        return TimeSformerForVideoClassification(TimeSformerConfig(**{**own, **fields}))
    return VisionTransformerForImageClassification(VisionTransformerConfig(**{**VIT, **NARROW, **fields}))


def batches_for(model: Any, plan: AugmentationPlan, *, images: int) -> ImageBatches:
    """Random pixels that lie on the device as a whole."""
    config, numbers = model.config, np.random.default_rng(0)
    if videos := hasattr(config, "num_frames"):
        preparation = ClipPreparation(make_video_processor(config), 3)
        shape = (config.num_frames, 3, config.image_size, config.image_size)
    else:
        preparation = Preparation(make_image_processor(config), 3)
        shape = (3, config.image_size, config.image_size)
    pixels = numbers.integers(0, 256, (images, *shape), dtype=np.uint8)
    table = ImageTable.of(
        list(pixels),
        np.arange(images) % len(NAMES),
        source=lambda item, name: Image.fromarray(item[0]),
        name=lambda item, row: f"train[{row}]",
        modality=VIDEO if videos else IMAGE,
    )
    store = PixelStore.of(list(pixels))
    return ImageBatches(table, preparation, store=store, resident=True, plan=plan, classes=len(NAMES))


def trainer_for(
    family: str,
    folder: Path,
    *callbacks: TrainerCallback,
    model: dict[str, Any] | None = None,
    batches: int = 6,
    **settings: Any,
) -> Trainer:
    """The same weights, images and random numbers every time: augmentation, mixing, clipping, an average of weights.

    model: fields of its config. batches: how many an epoch has.
    """
    usual: dict[str, Any] = {
        "output_dir": str(folder),
        "num_train_epochs": 2,
        "per_device_train_batch_size": BATCH,
        "learning_rate": 1e-3,
        "logging_steps": 3,
        "save_strategy": "no",
        "disable_tqdm": True,
        "bf16": True,
    }
    set_seed(0)
    own, arguments = model_to_train(family, **(model or {})), TrainingArguments(**{**usual, **settings})
    plan = AugmentationPlan.of(AUGMENTATIONS, MixSettings(mixup=0.8, cutmix=1.0))
    return Trainer(
        model=own,
        args=arguments,
        train_dataset=batches_for(own, plan, images=batches * arguments.per_device_train_batch_size),
        callbacks=list(callbacks),
        optimization=OptimizationSettings.model_validate({"ema": {"decay": 0.9, "final": False}}),
    )


class Dies(TrainerCallback):
    """A kill -9 at the beginning of a step."""

    def __init__(self, step: int):
        self.step = step

    def on_step_begin(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            os.kill(os.getpid(), signal.SIGKILL)


def main(order: dict[str, Any]) -> None:
    dies = [Dies(order["dies_at_step"])] if "dies_at_step" in order else []
    trainer = trainer_for(order["family"], Path(order["folder"]), *dies, **order.get("settings", {}))
    trainer.train(resume_from_checkpoint=order.get("resume", False))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
