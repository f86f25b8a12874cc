"""The turn of an epoch: everybody learns its number, and its last step is reported, evaluated and saved in one go."""

from typing import Any

from transformers import TrainerCallback


def innermost_sampler(loader: Any) -> Any:
    """The one that decides the order, inside those that share it out and skip its beginning."""
    batches = loader.batch_sampler
    while hasattr(batches, "batch_sampler"):
        batches = batches.batch_sampler
    return batches.sampler


class Epochs(TrainerCallback):
    """Tells data and order which epoch it is, and lets the last step of one report and save after all it does.

    Accelerate tells them too, but not always: behind the skipped batches of a resumed epoch it forgets the data.
    """

    def __init__(self, trainer: Any):
        self.trainer = trainer
        self.postponed: set[str] = set()

    def on_epoch_begin(self, args, state, control, train_dataloader=None, **kwargs):
        if not hasattr(self.trainer.train_dataset, "__len__"):
            return  # a stream counts its own
        for listener in (self.trainer.train_dataset, innermost_sampler(train_dataloader)):
            if hasattr(listener, "set_epoch"):
                listener.set_epoch(int(state.epoch))

    def on_step_end(self, args, state, control, **kwargs):
        if self.trainer.stream is not None:
            state.epoch = state.global_step / state.max_steps  # transformers counts from the resumed step
        # A checkpoint of an epoch's last step must hold what is reported at the end of the epoch, or it is lost.
        if float(state.epoch).is_integer() or control.should_training_stop:
            for wish in ("should_log", "should_evaluate", "should_save"):
                if getattr(control, wish):
                    self.postponed.add(wish)
                    setattr(control, wish, False)

    def on_epoch_end(self, args, state, control, **kwargs):
        for wish in self.postponed:
            setattr(control, wish, True)
        self.postponed.clear()
