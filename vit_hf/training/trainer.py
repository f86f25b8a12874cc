"""transformers' Trainer for images: what it does by default is what images need."""

from typing import Any

import torch
from torch import nn
from transformers import EvalPrediction
from transformers.trainer_callback import ProgressCallback

from ..data.collation import collate
from .feeding import FeedingTrainer


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


class Trainer(FeedingTrainer):
    """Batches of pixels, accuracy as the figure to watch, and weight decay on matrices only."""

    def __init__(self, *args: Any, data_collator=collate, compute_metrics=accuracy, **kwargs: Any):
        super().__init__(*args, data_collator=data_collator, compute_metrics=compute_metrics, **kwargs)
        if not self.args.disable_tqdm:
            self.remove_callback(ProgressCallback)
            self.add_callback(ProgressBar)

    def get_decay_parameter_names(self, model: nn.Module) -> list[str]:
        """Matrices that multiply tokens: not biases, scales, positions, class, mask and register tokens."""
        owners = (nn.Linear, nn.Conv2d)
        return [
            f"{name}.weight" if name else "weight"
            for name, module in model.named_modules()
            if isinstance(module, owners) and isinstance(module.weight, torch.Tensor)
        ]
