"""Which weights become the finished model: the last, or the best by a figure of validation."""

from collections.abc import Mapping, Sequence
from typing import Any

import transformers

from ...errors import UserError
from ..problem import LOWER_IS_BETTER, Problem
from .optimization import OptimizationSettings


def wants_best(training: Mapping[str, Any], settings: OptimizationSettings) -> bool:
    """Early stopping does, unless it is told not to."""
    return bool(training.get("load_best_model_at_end", settings.early_stopping is not None))


def with_what_choosing_needs(
    training: Mapping[str, Any], settings: OptimizationSettings, *, streaming: bool = False
) -> tuple[dict[str, Any], list[str]]:
    """-> the arguments with the evaluations and checkpoints that the best weights need, and a line for what was set

    What a recipe says stands, but `save_strategy: no`, which would keep none of them. Raises: UserError where no
    evaluation is wanted, or nobody can say when one would be.
    """
    training, best = dict(training), wants_best(training, settings)
    if settings.early_stopping:
        field = "optimization.early_stopping"
    elif best or training.get("save_strategy") == "best":
        field = "training.load_best_model_at_end" if best else "training.save_strategy: best"
    else:
        return training, []
    given = training.get("eval_strategy")
    if given is not None and str(given) == "no":
        raise UserError(
            f"{field} goes by evaluations, and training.eval_strategy: no wants none; say epoch, or steps with "
            "training.eval_steps."
        )
    if given is None and streaming:
        raise UserError(
            f"{field} goes by evaluations, and a stream has no epochs after which to evaluate; say "
            "training.eval_strategy: steps, and training.eval_steps."
        )
    made = {} if given is not None else {"eval_strategy": "epoch"}
    if best:
        made |= {} if training.get("load_best_model_at_end") else {"load_best_model_at_end": True}
        if str(training.get("save_strategy", "no")) == "no":
            made["save_strategy"] = "best"
            made |= {} if "save_total_limit" in training else {"save_total_limit": 1}
    if not made:
        return training, []
    said = ", ".join(f"{name}: {str(value).lower()}" for name, value in made.items())
    return {**training, **made}, [f"For {field}, training has {said}"]


def figure_of(metric: str) -> str:
    """eval_ema_macro_f1 -> macro_f1"""
    return metric.removeprefix("eval_").removeprefix("ema_")


def choose_metric(
    arguments: transformers.TrainingArguments,
    given: Mapping[str, Any],
    settings: OptimizationSettings,
    problem: Problem | None,
) -> list[str]:
    """Set what the best weights are best at, where the recipe does not say it: the headline, or the loss of a model
    that predicts nothing; of the averaged weights, where they become the model. -> a line for it
    """
    averaged = settings.ema is not None and settings.ema.final
    choosing = arguments.load_best_model_at_end or settings.early_stopping or arguments.save_strategy == "best"
    if given.get("metric_for_best_model") is None and choosing:
        figure = "loss" if problem is None else problem.headline
        arguments.metric_for_best_model = f"eval_ema_{figure}" if averaged else f"eval_{figure}"
    if (metric := arguments.metric_for_best_model) is None:
        return []
    larger = figure_of(metric) not in LOWER_IS_BETTER
    if given.get("greater_is_better") not in (None, larger):
        raise UserError(
            f"training.greater_is_better: {str(given['greater_is_better']).lower()}, but of {figure_of(metric)} a "
            f"{'larger' if larger else 'smaller'} one is better; leave it out."
        )
    arguments.greater_is_better = larger
    if not (arguments.load_best_model_at_end or settings.early_stopping):
        return []
    best = "largest" if larger else "smallest"
    ends = [f"the model ends with the weights of the {best} {metric}"] if arguments.load_best_model_at_end else []
    if stop := settings.early_stopping:
        ends.append(f"training ends after {stop.patience} evaluations without a better {metric}")
    return ["; ".join(ends).capitalize()]


def refuse_unknown_metric(
    arguments: transformers.TrainingArguments, settings: OptimizationSettings, figures: Sequence[str]
) -> None:
    """figures: those that an evaluation measures, "loss" among them.

    Raises: UserError for a metric that no evaluation gives, and for a choice of weights that no checkpoint holds.
    """
    metric = arguments.metric_for_best_model
    if metric is not None:
        own = metric.removeprefix("eval_")
        if own.startswith("ema_") and settings.ema is None:
            raise UserError(
                f"training.metric_for_best_model: {metric} is of averaged weights, which optimization.ema would make; "
                f"say it, or take {figure_of(metric)}."
            )
        if figure_of(metric) not in figures:
            also = "; with eval_ or without, and as ema_ of the averaged weights" if settings.ema else ""
            raise UserError(
                f"training.metric_for_best_model: there is no metric {metric!r}; there are {', '.join(figures)}{also}."
            )
    if (settings.ema and settings.ema.final) and arguments.load_best_model_at_end and arguments.save_only_model:
        raise UserError(
            "training.save_only_model leaves averaged weights out of the checkpoints, and optimization.ema.final wants "
            "those of the best one; leave one of the two out."
        )
