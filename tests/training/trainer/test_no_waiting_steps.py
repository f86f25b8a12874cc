"""A training step reads no value of a tensor, for which it would have to wait for the device, but where it logs."""

from typing import Any

import pytest
import torch
from killable_runs import AUGMENTATIONS, MIX, small_arguments, small_images, small_model
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import TrainerCallback

from vit_hf.data.augment.plan import AugmentationPlan
from vit_hf.training.recipe.optimization import OptimizationSettings
from vit_hf.training.trainer.trainer import Trainer

# Operations whose result, or whose size, is a value.
READING = {"_local_scalar_dense", "nonzero", "masked_select", "is_nonzero", "equal", "unique_consecutive", "_unique2"}


class Reads(TorchDispatchMode):
    """Notes the step in which a value was read; the counter of epochs lies on the CPU whatever the device."""

    def __init__(self, epoch: torch.Tensor):
        super().__init__()
        self.epoch = epoch
        self.steps: list[int] = []
        self.step = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        masked = func.overloadpacket.__name__ in ("index", "index_put", "index_put_") and any(
            one is not None and one.dtype == torch.bool for one in args[1]
        )
        if (func.overloadpacket.__name__ in READING or masked) and args[0].data_ptr() != self.epoch.data_ptr():
            self.steps.append(self.step)
        return func(*args, **(kwargs or {}))


class Numbering(TrainerCallback):
    """Tells the steps; and looks at the loss as seldom as on a device, for a CPU is never waited for."""

    def __init__(self, reads: Reads):
        self.reads = reads
        self.trainer: Any = None

    def on_step_begin(self, args, state, control, **kwargs):
        self.reads.step = state.global_step + 1
        self.trainer.broken_loss.looks_always = False


def one_hot(labels: torch.Tensor, classes: int) -> torch.Tensor:
    """torch's on a CPU looks whether the labels are below `classes`, and on a device does not."""
    return (labels[..., None] == torch.arange(classes)).long()


@pytest.mark.parametrize(
    "optimization",
    [{}, {"ema": {}, "label_smoothing": 0.1}, {"loss": "bce"}, {"layer_decay": 0.8}],
    ids=str,
)
def test_a_step_reads_no_value_but_where_it_logs(tmp_path, monkeypatch, optimization: dict[str, Any]):
    monkeypatch.setattr(torch.nn.functional, "one_hot", one_hot)
    plan = AugmentationPlan.of({**AUGMENTATIONS, "randaugment": 9, "pad_and_crop": 1}, MIX)
    images = small_images(plan)
    numbering = Numbering(reads := Reads(images.epoch))
    numbering.trainer = trainer = Trainer(
        model=small_model(num_channels=1),
        args=small_arguments(tmp_path, max_steps=11, logging_steps=4, save_strategy="no", max_grad_norm=1.0),
        train_dataset=images,
        optimization=OptimizationSettings(**optimization),
        callbacks=[numbering],
    )
    with reads:
        trainer.train()
    # The run ends after 11; after 6 the loader begins an epoch, for which it draws a seed on the CPU.
    assert set(reads.steps) - {0, 1} == {4, 6, 8, 11}
