"""The end of a training that does not become better any more."""

from transformers import EarlyStoppingCallback

from ..recipe.optimization import EarlyStoppingSettings


class EarlyStopping(EarlyStoppingCallback):
    """transformers' own, whose count is kept in the checkpoints, fed with the evaluations that measure its metric: of
    the weights themselves and of their average only one does.
    """

    def __init__(self, settings: EarlyStoppingSettings):
        super().__init__(settings.patience, settings.min_delta)

    def on_train_begin(self, args, state, control, **kwargs):
        """What it needs was made sure of before (see recipe/selection.py)."""

    def on_evaluate(self, args, state, control, metrics, **kwargs):
        metric = str(args.metric_for_best_model)
        if f"eval_{metric.removeprefix('eval_')}" in metrics:
            super().on_evaluate(args, state, control, metrics, **kwargs)
