"""Which weights a training ends with, when it ends, and what is said of that before the first step."""

from pathlib import Path
from typing import Any

import pytest
import torch
from killable_runs import KillAt, Killed, small_trainer
from safetensors.torch import load_file
from training.small_runs import Noise, small_model, trainer_of, weights_of

from vit_hf.errors import UserError
from vit_hf.training.problem import Problem
from vit_hf.training.recipe.arguments import training_arguments
from vit_hf.training.recipe.optimization import OptimizationSettings
from vit_hf.training.recipe.selection import choose_metric, refuse_unknown_metric, with_what_choosing_needs

BALANCED = Problem("single_label_classification", ["a", "b"], [50, 50], 100)
UNBALANCED = Problem("single_label_classification", ["a", "b"], [95, 5], 100)
STOP = OptimizationSettings(early_stopping={"patience": 2})  # pyright: ignore[reportArgumentType]
AVERAGED = OptimizationSettings(ema={})  # pyright: ignore[reportArgumentType]
PLAIN = OptimizationSettings()


def completed(training: dict[str, Any], settings: OptimizationSettings = PLAIN, **how: Any) -> dict[str, Any]:
    return with_what_choosing_needs(training, settings, **how)[0]


def test_early_stopping_implies_evaluations_and_the_best_weights():
    made = {
        "eval_strategy": "epoch",
        "load_best_model_at_end": True,
        "save_strategy": "best",
        "save_total_limit": 1,
    }
    assert completed({}, STOP) == made
    assert completed({"save_strategy": "no"}, STOP) == made
    _, (line,) = with_what_choosing_needs({}, STOP)
    assert line == (
        "For optimization.early_stopping, training has eval_strategy: epoch, load_best_model_at_end: true, "
        "save_strategy: best, save_total_limit: 1"
    )


def test_what_a_recipe_says_of_saving_and_evaluating_stands():
    said = {"eval_strategy": "steps", "eval_steps": 5, "save_strategy": "steps", "save_steps": 10}
    assert completed({**said, "load_best_model_at_end": True}) == {**said, "load_best_model_at_end": True}
    assert completed({**said, "load_best_model_at_end": False}, STOP) == {**said, "load_best_model_at_end": False}
    assert completed({"save_strategy": "no"}) == {"save_strategy": "no"}
    assert completed({"save_strategy": "best"}) == {"save_strategy": "best", "eval_strategy": "epoch"}


def test_the_best_weights_are_kept_where_neither_saving_nor_evaluating_was_asked_for():
    arguments = training_arguments(completed({"load_best_model_at_end": True}))
    assert arguments.load_best_model_at_end
    assert (arguments.eval_strategy, arguments.save_strategy) == ("epoch", "best")


def test_evaluations_that_cannot_be_are_a_sentence():
    with pytest.raises(UserError, match="eval_strategy: no wants none; say epoch"):
        completed({"eval_strategy": "no"}, STOP)
    with pytest.raises(UserError, match="a stream has no epochs .* training.eval_steps"):
        completed({}, STOP, streaming=True)


@pytest.mark.parametrize(
    ("settings", "problem", "metric", "larger"),
    [
        (PLAIN, BALANCED, "eval_accuracy", True),
        (PLAIN, UNBALANCED, "eval_balanced_accuracy", True),
        (STOP, Problem("multi_label_classification", ["a"]), "eval_macro_f1", True),
        (PLAIN, Problem("regression", ["a"]), "eval_mae", False),
        (AVERAGED, BALANCED, "eval_ema_accuracy", True),
        (PLAIN, None, "eval_loss", False),
    ],
)
def test_the_best_weights_are_best_at_the_headline(settings, problem: Problem | None, metric: str, larger: bool):
    arguments = training_arguments(completed({"load_best_model_at_end": True}, settings))
    lines = choose_metric(arguments, {}, settings, problem)
    assert (arguments.metric_for_best_model, arguments.greater_is_better) == (metric, larger)
    assert f"{'largest' if larger else 'smallest'} {metric}" in lines[0]


@pytest.mark.parametrize(
    ("metric", "larger"),
    [("rmse", False), ("eval_expected_calibration_error", False), ("ema_hamming_loss", False), ("eval_r2", True)],
)
def test_the_metric_decides_whether_larger_is_better(metric: str, larger: bool):
    given = {"load_best_model_at_end": True, "metric_for_best_model": metric}
    arguments = training_arguments(completed(given))
    choose_metric(arguments, given, PLAIN, BALANCED)
    assert (arguments.metric_for_best_model, arguments.greater_is_better) == (metric, larger)
    with pytest.raises(UserError, match="of .* a (larger|smaller) one is better; leave it out"):
        choose_metric(arguments, {**given, "greater_is_better": not larger}, PLAIN, BALANCED)


def test_checkpoints_of_the_best_weights_go_by_the_headline_too():
    arguments = training_arguments(completed({"save_strategy": "best"}))
    choose_metric(arguments, {"save_strategy": "best"}, PLAIN, UNBALANCED)
    assert arguments.metric_for_best_model == "eval_balanced_accuracy"


@pytest.mark.parametrize("prefix", ["", "eval_", "ema_", "eval_ema_"])
def test_a_metric_is_known_under_all_its_names(prefix: str):
    arguments = training_arguments({"metric_for_best_model": f"{prefix}macro_f1"})
    refuse_unknown_metric(arguments, AVERAGED, ["macro_f1", "loss"])
    if "ema" in prefix:
        with pytest.raises(UserError, match="averaged weights, which optimization.ema would make"):
            refuse_unknown_metric(arguments, PLAIN, ["macro_f1", "loss"])


def test_a_metric_that_does_not_exist_is_refused_before_the_first_step_with_those_that_do(tmp_path: Path):
    says = (
        "there is no metric 'f1'; there are accuracy, balanced_accuracy, macro_f1, mcc, auroc, average_precision, loss"
    )
    problem = Problem("single_label_classification", ["cat", "dog", "owl"], [5, 5, 6], 16)
    with pytest.raises(UserError, match=says):
        trainer_of(small_model(), tmp_path, problem=problem, metric_for_best_model="f1")
    with pytest.raises(UserError, match="there are accuracy, loss"):
        trainer_of(small_model(), tmp_path, metric_for_best_model="macro_f1")


CHOOSING = {
    "eval_strategy": "steps",
    "eval_steps": 2,
    "save_strategy": "steps",
    "save_steps": 2,
    "metric_for_best_model": "loss",
    "load_best_model_at_end": True,
    "num_train_epochs": 5,
    "optimization": {"early_stopping": {"patience": 2}},
    "learning_rate": 0.05,
}


def evaluations(trainer: Any) -> list[float]:
    return [entry["eval_loss"] for entry in trainer.state.log_history if "eval_loss" in entry]


def test_a_run_ends_after_as_many_evaluations_without_an_improvement_and_with_the_best_weights(tmp_path: Path):
    trainer = small_trainer(tmp_path, **CHOOSING)
    trainer.train()
    losses = evaluations(trainer)
    assert losses.index(min(losses)) == len(losses) - 3
    assert trainer.state.global_step == 2 * len(losses) < 30
    best = load_file(tmp_path / f"checkpoint-{2 * (len(losses) - 2)}" / "model.safetensors")
    assert all(torch.equal(best[name], tensor) for name, tensor in weights_of(trainer.model).items())


def test_the_count_of_evaluations_survives_an_interruption(tmp_path: Path):
    whole = small_trainer(tmp_path / "whole", **CHOOSING)
    whole.train()
    last = whole.state.global_step
    killed = small_trainer(tmp_path / "killed", KillAt(last - 1), **CHOOSING)  # after the first that is no better
    with pytest.raises(Killed):
        killed.train()
    resumed = small_trainer(tmp_path / "killed", **CHOOSING)
    resumed.train(resume_from_checkpoint=True)
    assert resumed.state.global_step == last
    assert evaluations(resumed) == evaluations(whole)


def test_the_best_checkpoint_gives_its_averaged_weights_where_these_become_the_model(tmp_path: Path):
    optimization = {"ema": {"decay": 0.7}, "early_stopping": {"patience": 2}}
    chosen = {"metric_for_best_model": "eval_ema_loss", "learning_rate": 0.1, "num_train_epochs": 8}
    trainer = small_trainer(tmp_path, **{**CHOOSING, **chosen, "optimization": optimization})
    trainer.train()
    averaged = [entry["eval_ema_loss"] for entry in trainer.state.log_history if "eval_ema_loss" in entry]
    best = 2 * (averaged.index(min(averaged)) + 1)
    assert best < trainer.state.global_step  # or the last average would do
    trainer.use_final_weights()
    expected = load_file(tmp_path / f"checkpoint-{best}" / "states" / "ema.safetensors")
    assert all(torch.equal(expected[name], tensor) for name, tensor in weights_of(trainer.model).items())
    assert trainer.evaluate()["eval_loss"] == pytest.approx(min(averaged), abs=1e-6)


def test_a_metric_that_is_undefined_where_it_is_measured_ends_no_run(tmp_path: Path):
    one_class = Noise(8)
    one_class.labels[:] = 0
    problem = Problem("single_label_classification", ["cat", "dog", "owl"], [5, 5, 6], 16)
    choosing = {"eval_strategy": "steps", "eval_steps": 1, "save_strategy": "best", "load_best_model_at_end": True}
    trainer = trainer_of(
        small_model(), tmp_path, problem=problem, eval_data=one_class, metric_for_best_model="auroc", **choosing
    )
    assert trainer.train().global_step == 2
    assert trainer.state.best_model_checkpoint is None
