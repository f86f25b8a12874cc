"""How a recipe does on other parts of the same images: a model for each fold, measured on what it did not see."""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any

from ..data.sources.splits import folds_of
from ..errors import UserError
from ..training.problem import shown, title_of
from ..training.recipe.recipe import Recipe
from ..training.recipe.yaml_files import apply_overrides
from .prepared_run import PreparedRun
from .results import FinishedRun
from .review import Judged
from .setup import prepare
from .train import train_prepared


@dataclass(frozen=True)
class CrossValidation:
    """metrics: of each fold. judged: what was said of each by the model that did not learn from it. headline: which
    figure is said first."""

    metrics: list[dict[str, Any]]
    judged: dict[str, Judged]
    headline: str

    def record(self) -> dict[str, Any]:
        """For metrics.json: of every figure the mean over the folds, its standard deviation, and each fold's own."""
        names = [name for name, value in self.metrics[0].items() if isinstance(value, float)]
        values = {name: [fold[name] for fold in self.metrics] for name in names}
        return {
            name: {"mean": mean(each), "standard_deviation": stdev(each), "folds": each}
            for name, each in values.items()
            if None not in each
        }

    def describe(self) -> str:
        """A sentence for the card and the terminal."""
        found = self.record()[self.headline]
        average, spread = (shown(self.headline, found[name]) for name in ("mean", "standard_deviation"))
        return (
            f"Cross-validation: {len(self.metrics)} models more, each tested on a fold of the train and validation "
            f"splits that it did not see: {title_of(self.headline).lower()} {average} in the mean, with a standard "
            f"deviation of {spread}"
        )


def cross_validate(
    prepared: PreparedRun,
    transform: Callable[[Any], Any] | None = None,
    *,
    resume: bool = False,
    overwrite: bool = False,
) -> CrossValidation | None:
    """Train a model for each of `data.folds`, in folders below that of the run; None where the recipe has no folds.

    Raises: UserError for a stream, which has no folds.
    """
    recipe = prepared.recipe
    if recipe.data.folds is None:
        return None
    if prepared.stream is not None:
        raise UserError(
            "data.folds divides the train split, which data.streaming does not read; leave one of them out."
        )
    metrics, judged = [], {}
    for number, data in enumerate(folds_of(prepared.data, recipe.data), start=1):
        name = f"fold {number} of {recipe.data.folds}"
        print(f"\n{name.capitalize()}", flush=True)
        folder = f"{prepared.arguments.output_dir}/folds/{number}"
        content = apply_overrides(recipe.content(), {"training.output_dir": folder})
        content["data"].pop("folds")
        # A fold that had ended before the run was interrupted is of this run.
        run = train_prepared(prepare(Recipe(**content), transform, data), resume, overwrite=overwrite or resume)
        if run.trainer.is_world_process_zero():
            run.place()
        metrics.append(run.metrics)
        judged[name] = Judged(run.tested.table, run.logits)
    return CrossValidation(metrics, judged, prepared.problem.headline if prepared.problem else "accuracy")


def train_and_cross_validate(
    prepared: PreparedRun,
    transform: Callable[[Any], Any] | None = None,
    resume: str | bool | None = None,
    *,
    anyway: bool = False,
    overwrite: bool = False,
) -> FinishedRun:
    """As `train_prepared`, once the models of the folds are trained, where the recipe has some."""
    crossed = cross_validate(prepared, transform, resume=bool(resume), overwrite=overwrite)
    run = train_prepared(prepared, resume, anyway=anyway, overwrite=overwrite)
    run.crossed = crossed
    return run
