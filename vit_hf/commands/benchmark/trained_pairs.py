"""The trainings of `benchmark recipe`, one after another, and what they reached, side by side."""

import time
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import mean
from typing import Any

import torch
from transformers import EvalPrediction, TrainerCallback

from ...runs.prepared_run import PreparedRun
from ...runs.report import table
from ...runs.setup import prepare
from ...training.recipe.recipe import Recipe, find_recipe, load_recipe
from ...training.recipe.yaml_files import apply_overrides
from ...training.trainer.trainer import Trainer
from .budget import ProcessorBudget, budgeted
from .opponents import Contender, accuracy_and_f1, opponents_of
from .report import write_record
from .timing import threads


class Curve(TrainerCallback):
    """Minutes of the processor since the start, evaluations included, and the accuracy found then."""

    def __init__(self, start: float):
        self.start = start
        self.points: list[dict[str, float]] = []

    def on_evaluate(self, args, state, control, metrics: dict[str, Any] | None = None, **kwargs):
        minutes = (time.process_time() - self.start) / 60
        found = (metrics or {}).get("eval_accuracy")
        if found is not None:
            self.points.append({"epoch": float(state.epoch or 0), "minutes": minutes, "accuracy": found})


@dataclass(frozen=True)
class Outcome:
    """Of one training: shares of the split that was not looked at, and what it cost."""

    pair: str
    name: str
    model: str
    seed: int
    split: str
    accuracy: float
    macro_f1: float
    processor_minutes: float
    epochs: float
    curve: list[dict[str, float]]


def with_seed(recipe: Recipe, seed: int, folder: str) -> Recipe:
    return Recipe(**apply_overrides(recipe.content(), {"training.seed": seed, "training.output_dir": folder}))


def run_contender(contender: Contender, seed: int, folder: str, minutes: float | None) -> Outcome:
    """Train once, from reading the data on, and measure the finished weights."""
    start = time.process_time()
    budget = ProcessorBudget(60 * minutes) if minutes is not None else None
    prepared = prepare(with_seed(contender.recipe, seed, folder))
    if budget is not None:
        budgeted(prepared.arguments)
    trainer, curve = contender.trainer(prepared), Curve(start)
    for callback in filter(None, (curve, budget)):
        trainer.add_callback(callback)
    trainer.train()
    if isinstance(trainer, Trainer):
        trainer.use_final_weights()
    spent, epochs = time.process_time() - start, float(trainer.state.epoch or 0)
    figures = held_out_figures(trainer, prepared)
    name, split = type(trainer.model).__name__, prepared.data.held_out
    return Outcome(contender.pair, contender.name, name, seed, split, *figures, spent / 60, epochs, curve.points)


def held_out_figures(trainer: Any, prepared: PreparedRun) -> tuple[float, float]:
    """-> accuracy and macro F1 on the held-out split"""
    with torch.inference_mode():
        tested = trainer.predict(prepared.batches[prepared.data.held_out])
    figures = accuracy_and_f1(EvalPrediction(tested.predictions, tested.label_ids))
    return figures["accuracy"], figures["macro_f1"]


def spread(shares: Sequence[float]) -> str:
    """In percent: the mean, and the least and the most where there are several."""
    around = f" ({min(shares):.1%} to {max(shares):.1%})" if len(shares) > 1 else ""
    return f"{mean(shares):.1%}{around}"


def verdict(outcomes: Sequence[Outcome]) -> str:
    """A table of the trainings, each a row over its seeds, and how far the first of each pair is above the second."""
    head = ["", "model", "accuracy", "macro F1", "processor min", "epochs"]
    lines = []
    for pair, of_pair in groupby(outcomes, key=lambda one: one.pair):
        by_name = {name: list(group) for name, group in groupby(of_pair, key=lambda one: one.name)}
        rows = [
            [
                name,
                group[0].model,
                spread([one.accuracy for one in group]),
                spread([one.macro_f1 for one in group]),
                f"{mean(one.processor_minutes for one in group):.1f}",
                f"{mean(one.epochs for one in group):.1f}",
            ]
            for name, group in by_name.items()
        ]
        lines += [f"{pair}, on the {outcomes[0].split} split", table(head, rows), *lead_of_ours(list(by_name.values()))]
    return "\n".join(lines)


def lead_of_ours(groups: Sequence[Sequence[Outcome]]) -> list[str]:
    if len(groups) < 2:
        return []
    ours, theirs = groups
    accuracy = 100 * (mean(one.accuracy for one in ours) - mean(one.accuracy for one in theirs))
    f1 = 100 * (mean(one.macro_f1 for one in ours) - mean(one.macro_f1 for one in theirs))
    return [f"  vit_hf against transformers: {accuracy:+.1f} points of accuracy, {f1:+.1f} of macro F1\n"]


def accuracy_table(points: Sequence[dict[str, float]]) -> str:
    rows = [[f"{one['epoch']:.1f}", f"{one['minutes']:.1f}", f"{one['accuracy']:.2%}"] for one in points]
    return table(["epoch", "processor min", "accuracy"], rows)


def benchmark(given: Namespace, overrides: Sequence[str]) -> int:
    recipe = load_recipe(find_recipe(given.recipe), overrides)
    outcomes: list[Outcome] = []
    with threads(given.threads) as count:
        first = prepare(recipe)
        for contender in opponents_of(first.recipe, first.model.config):
            if contender.pair not in given.pairs:
                continue
            for seed in given.seeds or [first.arguments.seed]:
                folder = f"{given.output}/{len(outcomes)}"
                outcomes.append(run_contender(contender, seed, folder, given.processor_minutes))
                print(f"\n{contender.name}, {contender.pair}, seed {seed}\n{accuracy_table(outcomes[-1].curve)}")
                print(verdict(outcomes), flush=True)
                write_record(given.json, {"recipe": given.recipe, "threads": count, "trainings": outcomes})
    return 0
