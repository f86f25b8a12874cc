from pathlib import Path
from typing import Any

import pytest
import torch
from killable_runs import BATCH, small_trainer
from transformers import TrainerCallback

from vit_hf.training.trainer.callbacks import LossIsBroken
from vit_hf.training.trainer.trainer import Trainer


def broken_from(step: int, folder: Path, **settings) -> Trainer:
    """A run whose weights break so that the loss of `step` is the first that is no number."""

    class Break(TrainerCallback):
        def on_step_begin(self, args, state, control, model: Any = None, **kwargs):
            if state.global_step == step - 1:
                with torch.no_grad():
                    model.classifier.bias.fill_(float("nan"))

    return small_trainer(folder, Break(), **settings)


def test_a_broken_loss_stops_the_run_with_step_images_and_checkpoint(tmp_path: Path):
    trainer = broken_from(8, tmp_path)
    with pytest.raises(LossIsBroken) as raised:
        trainer.train()
    order = trainer.order
    assert order is not None
    images = order.indices(1)[BATCH : 2 * BATCH].tolist()  # the second step of the second epoch
    assert f"at step 8, for the images {images} of the train split" in str(raised.value)
    assert f"last good checkpoint is {tmp_path / 'checkpoint-6'}" in str(raised.value)


def test_where_looking_costs_it_waits_for_a_report_and_names_the_right_step_all_the_same(tmp_path: Path):
    trainer = broken_from(9, tmp_path, logging_steps=12, save_steps=100)

    class LooksSeldom(TrainerCallback):
        def on_train_begin(self, args, state, control, **kwargs):
            trainer.broken_loss.looks_always = False

    trainer.add_callback(LooksSeldom())
    with pytest.raises(LossIsBroken, match=r"at step 9, .*There is no checkpoint to go back to"):
        trainer.train()
    assert trainer.state.global_step == 12


def test_no_checkpoint_is_written_of_a_broken_model(tmp_path: Path):
    trainer = broken_from(5, tmp_path, save_steps=5)
    with pytest.raises(LossIsBroken):
        trainer.train()
    assert not [*tmp_path.glob("checkpoint-*")]
