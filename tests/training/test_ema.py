import math

import pytest
import torch
from torch import Tensor, nn
from training.small_runs import Noise, small_model, trainer_of, weights_of

from vit_hf.training.ema import MovingAverage
from vit_hf.training.recipe.arguments import TrainingArguments
from vit_hf.training.recipe.optimization import EmaSettings, OptimizationSettings
from vit_hf.training.trainer.trainer import Trainer


class Point(nn.Module):
    """A weight, a fraction and a count that are no weights."""

    fraction: Tensor
    count: Tensor

    def __init__(self, value: float):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([value]))
        self.register_buffer("fraction", torch.tensor([10 * value]))
        self.register_buffer("count", torch.tensor(int(value)))


def moved(model: Point, value: float) -> Point:
    with torch.no_grad():
        model.weight.fill_(value)
        model.fraction.fill_(10 * value)
        model.count.fill_(int(value))
    return model


def test_an_update_keeps_its_share_of_weights_and_buffers_and_copies_whole_numbers():
    model = Point(1.0)
    average = MovingAverage(model, decay=0.75, warm_up=False)
    average.update(moved(model, 5.0))
    assert average.average["weight"].item() == 0.75 * 1 + 0.25 * 5
    assert average.average["fraction"].item() == 0.75 * 10 + 0.25 * 50
    assert average.average["count"].item() == 5
    average.update(moved(model, 9.0))
    assert average.average["weight"].item() == 0.75 * 2 + 0.25 * 9


def test_the_first_updates_keep_less():
    model = Point(1.0)
    average = MovingAverage(model, decay=0.25, warm_up=True)
    assert [average.next_decay(), average.update(model), average.next_decay()][::2] == [1 / 10, 2 / 11]
    for _ in range(2, 5):
        average.update(model)
    assert average.next_decay() == 0.25  # 6 / 15 would be more


def test_the_average_is_the_weighted_sum_of_all_weights():
    model = Point(1.0)
    average = MovingAverage(model, decay=0.9, warm_up=False)
    values = [3.0, -2.0, 7.0, 4.0]
    for value in values:
        average.update(moved(model, value))
    expected = 0.9**4 + sum(0.1 * 0.9 ** (3 - place) * value for place, value in enumerate(values))
    assert math.isclose(average.average["weight"].item(), expected, rel_tol=1e-6)


def test_half_precision_is_averaged_in_single():
    model = Point(1.0).to(torch.bfloat16)
    average = MovingAverage(model, decay=0.999, warm_up=False)
    average.update(moved(model, 2.0))
    assert average.average["weight"].item() == pytest.approx(1.001)


def test_the_model_has_its_own_weights_again_even_after_an_error():
    model = Point(0.1)
    average = MovingAverage(model, decay=0.5, warm_up=False)
    average.update(moved(model, 0.7))
    before = weights_of(model)
    seen = []

    def look_and_fail() -> None:
        with average.applied_to(model):
            seen.append(model.weight.item())
            raise RuntimeError

    with pytest.raises(RuntimeError):
        look_and_fail()
    assert seen == [pytest.approx(0.4)]
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_a_saved_average_goes_on_as_if_it_had_not_been_saved():
    model = Point(1.0)
    average, again = (MovingAverage(model, decay=0.9) for _ in range(2))
    average.update(moved(model, 3.0))
    again.load_state_dict({name: torch.as_tensor(value).clone() for name, value in average.state_dict().items()})
    for each in (average, again):
        each.update(moved(model, 8.0))
    assert again.updates == 2
    assert all(torch.equal(average.average[name], again.average[name]) for name in average.average)


def test_the_average_of_another_model_is_refused():
    average = MovingAverage(Point(1.0), decay=0.9)
    with pytest.raises(ValueError, match="another model: bias, count, fraction are in one"):
        average.load_state_dict({"updates": 1, "weight": torch.zeros(1), "bias": torch.zeros(1)})


def test_the_trainer_updates_once_a_step_evaluates_both_and_ends_with_the_average(tmp_path):
    settings = {"ema": {"decay": 0.5, "warm_up": False}}
    trainer = trainer_of(
        small_model(),
        tmp_path,
        settings,
        max_steps=3,
        gradient_accumulation_steps=2,
        eval_strategy="steps",
        eval_steps=1,
    )
    assert trainer.average is not None
    first = weights_of(trainer.model)
    steps: list[dict] = []
    update = trainer.average.update
    trainer.average.update = lambda model: (steps.append(weights_of(model)), update(model))[1]
    trainer.train()
    assert len(steps) == 3
    assert list(trainer.stateful) == ["ema"]
    expected = first
    for state in steps:
        expected = {name: torch.lerp(expected[name], state[name], 0.5) for name in expected}
    raw = [entry for entry in trainer.state.log_history if "eval_accuracy" in entry]
    averaged = [entry for entry in trainer.state.log_history if "eval_ema_accuracy" in entry]
    assert len(raw) == len(averaged) == 3
    assert all(one["eval_loss"] != other["eval_ema_loss"] for one, other in zip(raw, averaged, strict=True))
    assert all(torch.equal(steps[-1][name], tensor) for name, tensor in trainer.model.state_dict().items())
    trainer.use_final_weights()
    for name, tensor in trainer.model.state_dict().items():
        torch.testing.assert_close(tensor, expected[name], rtol=0, atol=1e-7)
    assert trainer.evaluate()["eval_loss"] == pytest.approx(averaged[-1]["eval_ema_loss"], abs=1e-6)


def test_an_average_that_is_not_wanted_at_the_end_is_only_watched(tmp_path):
    trainer = trainer_of(small_model(), tmp_path, {"ema": {"final": False}})
    trainer.train()
    before = weights_of(trainer.model)
    assert "eval_ema_loss" in trainer.evaluate(Noise(4))
    trainer.use_final_weights()
    assert all(torch.equal(before[name], tensor) for name, tensor in trainer.model.state_dict().items())


def test_every_training_starts_its_average_anew_from_a_model_of_its_own(tmp_path):
    trainer = Trainer(
        model_init=lambda: small_model(),
        args=TrainingArguments(
            output_dir=str(tmp_path), max_steps=1, learning_rate=0.0, disable_tqdm=True, use_cpu=True
        ),
        train_dataset=Noise(8),
        optimization=OptimizationSettings(ema=EmaSettings(), freeze="trunk"),
    )
    assert trainer.average is not None
    for tensor in trainer.average.average.values():
        tensor.fill_(99)
    trainer.train()
    assert trainer.average.updates == 1
    assert all(
        torch.equal(trainer.average.average[name], tensor) for name, tensor in small_model().state_dict().items()
    )
    assert not trainer.model.vit.norm.weight.requires_grad


def test_several_data_sets_are_evaluated_once_each_with_either_weights(tmp_path):
    trainer = trainer_of(small_model(), tmp_path, {"ema": {}})
    trainer.train()
    figures = trainer.evaluate({"one": Noise(4), "two": Noise(8)})
    losses = sorted(name for name in figures if name.endswith("loss"))
    assert losses == ["eval_one_ema_loss", "eval_one_loss", "eval_two_ema_loss", "eval_two_loss"]
