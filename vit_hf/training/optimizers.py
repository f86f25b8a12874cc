"""Optimizers by their words; none is written here.

training.optim                      needs besides torch
adamw_torch_fused (default), adamw_torch, adafactor, sgd, adagrad, rmsprop     nothing
schedule_free_adamw, schedule_free_radam, schedule_free_sgd                    schedulefree
lion_32bit, paged_lion_32bit, ademamix, adamw_8bit, ...                        bitsandbytes, and a GPU
adamw_torch_4bit, adamw_torch_8bit                                             torchao
stable_adamw                                                                   torch-optimi

optimisation.optimizer: lamb, lion, muon                                       timm

timm's Muon takes AdamW for what is no matrix; torch's own would need a second optimizer beside it.
"""

from importlib import import_module
from typing import Any

import transformers

FROM_TIMM = {"lamb": "Lamb", "lion": "Lion", "muon": "Muon"}


def timm_optimizer(word: str, arguments: transformers.TrainingArguments) -> tuple[Any, dict[str, Any]]:
    """-> class and keywords. LAMB's own clipping is off, because the Trainer clips with max_grad_norm already."""
    try:
        optimizers = import_module("timm.optim")
    except ImportError as error:
        raise ValueError(
            f"optimisation.optimizer: {word} is timm's, which cannot be imported ({error}); pip install timm, "
            "or leave the field out for AdamW."
        ) from error
    keywords: dict[str, Any] = {"lr": arguments.learning_rate}
    if word == "lamb":
        keywords |= {
            "betas": (arguments.adam_beta1, arguments.adam_beta2),
            "eps": arguments.adam_epsilon,
            "max_grad_norm": None,
        }
    return getattr(optimizers, FROM_TIMM[word]), keywords
