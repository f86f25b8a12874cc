from typing import Any

import pytest
import torch
from training.small_runs import small_model, trainer_of, weights_of

from vit_hf.training import optimizer as optimizers
from vit_hf.training.optimizer import timm_optimizer
from vit_hf.training.recipe.arguments import TrainingArguments


@pytest.mark.parametrize("optim", ["adamw_torch_fused", "adamw_torch", "adafactor", "sgd", "adagrad", "rmsprop"])
def test_what_needs_no_other_package_trains_with_groups(tmp_path, optim: str):
    model = small_model()
    before = weights_of(model)
    trainer = trainer_of(model, tmp_path, {"layer_decay": 0.5}, optim=optim, weight_decay=0.1)
    trainer.train()
    assert all(not torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert {group["weight_decay"] for group in trainer.optimizer.param_groups} == {0.0, 0.1}
    assert {round(group["initial_lr"], 8) for group in trainer.optimizer.param_groups} == {0.01, 0.005, 0.0025, 0.00125}


def test_by_default_adam_is_fused(tmp_path):
    trainer = trainer_of(small_model(), tmp_path)
    optimizer = trainer.create_optimizer()
    assert isinstance(optimizer, torch.optim.AdamW)
    assert optimizer.defaults["fused"]


def test_an_optimizer_whose_package_is_missing_says_which(tmp_path):
    trainer = trainer_of(small_model(), tmp_path, optim="schedule_free_adamw")
    with pytest.raises(ValueError, match=r"training.optim: .*pip install schedulefree"):
        trainer.create_optimizer()


def test_timms_optimizers_need_timm(monkeypatch: pytest.MonkeyPatch, tmp_path):
    def missing(name: str) -> Any:
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(optimizers, "import_module", missing)
    with pytest.raises(ValueError, match=r"optimization.optimizer: lamb is timm's, .* pip install timm"):
        timm_optimizer("lamb", TrainingArguments(output_dir=str(tmp_path), use_cpu=True))


class WithoutSchedule(torch.optim.SGD):
    """Like schedule-free optimizers, it holds two sets of weights and has to be told which are wanted."""

    mode = "train"

    def train(self) -> None:
        self.mode = "train"

    def eval(self) -> None:
        self.mode = "eval"


def test_an_optimizer_without_a_schedule_hands_out_the_weights_to_be_used(tmp_path):
    model = small_model()
    trainer = trainer_of(model, tmp_path)
    trainer.optimizer = WithoutSchedule(model.parameters(), lr=0.1)
    trainer.train()
    assert trainer.optimizer.optimizer.mode == "train"
    trainer.use_final_weights()
    assert trainer.optimizer.optimizer.mode == "eval"
