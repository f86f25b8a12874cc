"""One recipe twice, with the same budget: our model and Trainer, and transformers' own. See --help."""

import time
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import transformers
from transformers import TrainerCallback, ViTConfig, ViTForImageClassification

from ...data.batches.dataset import collate
from ...errors import UserError
from ...runs.prepared_run import PreparedRun
from ...runs.report import table
from ...runs.setup import prepare
from ...training.recipe.recipe import find_recipe, load_recipe
from ...training.trainer.trainer import accuracy
from ..cli import given_arguments, guarded, parser
from .report import write_record

EXAMPLES = """\
  {program} recipe cifar10_cpu --data.name cifar10/ --json outputs/cifar10_cpu.json

Both see the same images, augmented alike, in batches of the same size, for the same number of steps.
"""
SHARED = (
    "image_size",
    "patch_size",
    "num_channels",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "hidden_dropout_prob",
    "attention_probs_dropout_prob",
    "id2label",
    "label2id",
)


class Curve(TrainerCallback):
    """Minutes since the training began, evaluations included, and the accuracy found then."""

    def __init__(self):
        self.start = 0.0
        self.points: list[dict[str, float]] = []

    def on_train_begin(self, args, state, control, **kwargs):
        self.start = time.monotonic()

    def on_evaluate(self, args, state, control, metrics: dict[str, Any] | None = None, **kwargs):
        minutes = (time.monotonic() - self.start) / 60
        found = (metrics or {}).get("eval_accuracy")
        if found is not None:
            self.points.append({"epoch": float(state.epoch or 0), "minutes": minutes, "accuracy": found})


def our_trainer(prepared: PreparedRun) -> transformers.Trainer:
    return prepared.trainer()


def theirs(prepared: PreparedRun) -> transformers.Trainer:
    """transformers' ViT of the same sizes, in its Trainer as it comes."""
    if (train_data := prepared.batches.get("train")) is None:
        raise UserError("transformers' Trainer cannot resume nor share out our streams; leave out data.streaming.")
    config = ViTConfig(**{name: getattr(prepared.model.config, name) for name in SHARED})
    transformers.set_seed(prepared.arguments.seed)
    return transformers.Trainer(
        model=ViTForImageClassification(config),
        args=prepared.arguments,
        train_dataset=train_data,
        eval_dataset=prepared.batches.get("validation"),
        data_collator=collate,
        compute_metrics=accuracy,
    )


TRAINERS = {"vit_hf": our_trainer, "transformers": theirs}


def accuracy_table(points: Sequence[dict[str, float]]) -> str:
    rows = [[f"{one['epoch']:.1f}", f"{one['minutes']:.1f}", f"{one['accuracy']:.2%}"] for one in points]
    return table(["epoch", "minutes", "accuracy"], rows)


def benchmark(given: Namespace, overrides: Sequence[str]) -> int:
    curves: dict[str, list[dict[str, float]]] = {}
    for name, build in TRAINERS.items():
        own = [*overrides, "--training.output_dir", f"{given.output}/{name}"]
        trainer, curve = build(prepare(load_recipe(find_recipe(given.recipe), own))), Curve()
        trainer.add_callback(curve)
        trainer.train()
        curves[name] = curve.points
        print(f"\n{name}\n{accuracy_table(curve.points)}", flush=True)
    write_record(given.json, curves)
    return 0


def main(words: Sequence[str] | None = None) -> int:
    parse = parser("benchmark", "Train by a recipe with vit_hf, and with transformers' own ViT and Trainer.", EXAMPLES)
    parse.prog += " recipe"
    parse.add_argument("recipe", help="a YAML file, or the name of one that comes with the package")
    parse.add_argument("--output", default="outputs/benchmark", help="a folder for what the two trainings write")
    parse.add_argument("--json", type=Path, help="a file for both curves")
    given, overrides = parse.parse_known_args(given_arguments(words))
    return guarded(benchmark, given, overrides)
