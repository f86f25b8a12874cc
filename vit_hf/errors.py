"""What went wrong, in a sentence for the person who can mend it."""

import importlib
from collections.abc import Collection, Iterable
from difflib import get_close_matches
from types import ModuleType
from typing import Any


class UserError(ValueError):
    """A mistake that the user can mend: the message names the value, says why it cannot be, and what would do.

    The command line prints the message alone. Any other ValueError is a fault of the package, and keeps its traceback.
    """


# What other libraries call it -> what it is called here, of which the first that there is counts.
SYNONYMS = {
    "accumulation": "gradient_accumulation_steps",
    "amp": "bf16",
    "batch": "batch_size per_device_train_batch_size",
    "batch_size": "per_device_train_batch_size",
    "bs": "batch_size per_device_train_batch_size",
    "classes": "num_labels",
    "clip_grad": "max_grad_norm",
    "compile": "torch_compile",
    "depth": "num_hidden_layers depths",
    "dim": "hidden_size embed_dim",
    "drop_path": "drop_path_rate",
    "dropout": "hidden_dropout_prob",
    "epochs": "num_train_epochs",
    "eval_batch_size": "per_device_eval_batch_size",
    "grad_clip": "max_grad_norm",
    "heads": "num_attention_heads num_heads",
    "hflip": "flip",
    "img_size": "image_size",
    "in_chans": "num_channels",
    "layers": "num_hidden_layers depths",
    "lr": "learning_rate",
    "lr_scheduler": "lr_scheduler_type",
    "mlp_dim": "intermediate_size mlp_ratio",
    "num_classes": "num_labels",
    "num_workers": "dataloader_num_workers",
    "opt": "optim optimizer",
    "optimizer": "optim",
    "random_erasing": "erase",
    "scheduler": "lr_scheduler_type",
    "smoothing": "label_smoothing",
    "steps": "max_steps",
    "warmup": "warmup_steps",
    "warmup_epochs": "warmup_ratio warmup_steps",
    "wd": "weight_decay",
    "workers": "dataloader_num_workers",
}


def nearest_name(name: str, known: Iterable[str]) -> str | None:
    """Another library's word for it, else the name that is spelt most like it; None where none is."""
    known = list(known)
    meant = [word for word in SYNONYMS.get(name, "").split() if word in known]
    return next(iter(meant or get_close_matches(name, known, n=1, cutoff=0.5)), None)


def unknown_name(kind: str, name: Any, known: Collection[str]) -> str:
    """The sentence for a name that does not exist: the nearest right one, or all of them when they are few."""
    if (nearest := nearest_name(str(name), known)) is not None:
        return f"There is no {kind} {name!r}; did you mean {nearest!r}?"
    if len(known) > 40:
        return f"There is no {kind} {name!r}, nor one of a similar name."
    return f"There is no {kind} {name!r}; there are {', '.join(sorted(known))}."


def first_few(names: Iterable[object], count: int = 6) -> str:
    """a, b, c and 3 more"""
    listed = [str(name) for name in names]
    more = f" and {len(listed) - count} more" if len(listed) > count else ""
    return ", ".join(listed[:count]) + more


def require_library(module: str, package: str) -> ModuleType:
    """A library that is imported only where something of its own is asked for.

    Raises: UserError that says how to install what is missing.
    """
    try:
        return importlib.import_module(module)
    except (ImportError, RuntimeError) as error:  # the latter where torchvision is of another build of torch
        raise UserError(f"This needs {package} ({error}); install it with: pip install {package}") from error


def first_line(error: BaseException) -> str:
    """Of what it says; its kind where it says nothing."""
    return next((line.strip() for line in str(error).split("\n") if line.strip()), type(error).__name__)
