"""transformers' Trainer for images: what it does by default is what images need."""

import logging
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import nn
from transformers import EvalPrediction
from transformers.trainer_callback import ProgressCallback

from ..data.collation import collate
from ..data.dataset import ImageBatches, RawBatches
from ..data.faults import in_sentences
from ..data.sampling import RepeatedSampler
from .data_meter import DataMeter

logger = logging.getLogger(__name__)


def accuracy(prediction: EvalPrediction) -> dict[str, float]:
    """The share of images whose largest logit is the right one."""
    logits: Any = prediction.predictions
    return {"accuracy": float((logits.argmax(-1) == prediction.label_ids).mean())}


class ProgressBar(ProgressCallback):
    """One bar with the newest figures in it, instead of a line for every log."""

    def __init__(self):
        super().__init__()
        self.figures: dict[str, str] = {}

    def on_log(self, args, state, control, logs=None, **kwargs):
        if self.training_bar is None:
            return
        for name, value in (logs or {}).items():
            if name in ("loss", "eval_loss", "eval_accuracy"):
                self.figures[name] = f"{float(value):.4f}"
        self.training_bar.set_postfix(self.figures)

    def on_prediction_step(self, args, state, control, eval_dataloader=None, **kwargs):
        if self.training_bar is None:
            super().on_prediction_step(args, state, control, eval_dataloader, **kwargs)


class Trainer(transformers.Trainer):
    """Batches of pixels, accuracy as the figure to watch, and weight decay on matrices only.

    Of `ImageBatches` the loader hands out bytes, which become pixels on the device (see data/device.py). The logs
    hold `data_wait`, the share of the time in which the model waited for data.
    """

    def __init__(self, *args: Any, data_collator=collate, compute_metrics=accuracy, **kwargs: Any):
        super().__init__(*args, data_collator=data_collator, compute_metrics=compute_metrics, **kwargs)
        if not self.args.disable_tqdm:
            self.remove_callback(ProgressCallback)
            self.add_callback(ProgressBar)
        self.data_meter = DataMeter()

    def _get_dataloader(self, dataset, *args: Any, **kwargs: Any):
        if isinstance(dataset, ImageBatches) and isinstance(self.train_dataset, ImageBatches):
            dataset = RawBatches(dataset)
        return super()._get_dataloader(dataset, *args, **kwargs)

    def _get_train_sampler(self, train_dataset=None):
        images = train_dataset or self.train_dataset
        images = images.images if isinstance(images, RawBatches) else images
        if not isinstance(images, ImageBatches) or images.repeats == 1:
            return super()._get_train_sampler(train_dataset)
        steps = self.args.gradient_accumulation_steps * self.args.world_size
        return RepeatedSampler(len(images), images.repeats, batch=self.args.train_batch_size * steps, seed=images.seed)

    def get_batch_samples(self, epoch_iterator, num_batches, device):
        watched = self.data_meter.watch(in_sentences(epoch_iterator))
        return super().get_batch_samples(watched, num_batches, device)

    def _prepare_inputs(self, inputs):
        inputs = super()._prepare_inputs(inputs)
        return self.train_dataset.finish(inputs) if isinstance(self.train_dataset, ImageBatches) else inputs

    def floating_point_ops(self, inputs):
        # A batch that names rows has no pixels to count before it is prepared.
        return super().floating_point_ops(inputs) if "pixel_values" in inputs else 0

    def log(self, logs, *args: Any, **kwargs: Any) -> None:
        share = self.data_meter.share() if "loss" in logs else None
        if share is not None:
            logs = {**logs, "data_wait": round(share, 4)}
        super().log(logs, *args, **kwargs)
        advice = self.data_meter.advice(share, self.args.dataloader_num_workers)
        if advice is not None and self.is_world_process_zero():
            logger.warning(advice)

    def evaluation_loop(self, *args: Any, **kwargs: Any):
        self.data_meter.pause()
        return super().evaluation_loop(*args, **kwargs)

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        super().save_model(output_dir, _internal_call)
        if not _internal_call and self.args.should_save:
            # A pickle has no place in a folder that strangers load; the recipe says the same.
            (Path(output_dir or str(self.args.output_dir)) / "training_args.bin").unlink(missing_ok=True)

    def get_decay_parameter_names(self, model: nn.Module) -> list[str]:
        """Matrices that multiply tokens: not biases, scales, positions, class, mask and register tokens."""
        owners = (nn.Linear, nn.Conv2d)
        return [
            f"{name}.weight" if name else "weight"
            for name, module in model.named_modules()
            if isinstance(module, owners) and isinstance(module.weight, torch.Tensor)
        ]
