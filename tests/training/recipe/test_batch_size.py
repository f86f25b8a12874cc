from types import SimpleNamespace
from typing import Any

import pytest

from vit_hf.training.recipe.arguments import effective_batch, plan_steps
from vit_hf.training.recipe.optimization import OptimizationSettings


def arguments(*, processes: int = 1, graphics_cards: int = 0, **given: Any) -> Any:
    defaults = {"per_device_train_batch_size": 8, "gradient_accumulation_steps": 1, "learning_rate": 1e-3}
    return SimpleNamespace(world_size=processes, n_gpu=graphics_cards, **{**defaults, **given})


@pytest.mark.parametrize(
    ("processes", "given", "each", "accumulated"),
    [
        (1, {}, 64, 1),
        (4, {}, 16, 1),
        (4, {"gradient_accumulation_steps": 2}, 8, 2),
        (2, {"per_device_train_batch_size": 8}, 8, 4),
        (2, {"per_device_train_batch_size": 16, "gradient_accumulation_steps": 2}, 16, 2),
    ],
)
def test_the_whole_batch_stays_whatever_the_processes(processes: int, given: dict, each: int, accumulated: int):
    planned = arguments(processes=processes, **given)
    plan_steps(planned, OptimizationSettings(batch_size=64), given)
    assert (planned.per_device_train_batch_size, planned.gradient_accumulation_steps) == (each, accumulated)
    assert effective_batch(planned) == 64


def test_several_graphics_cards_in_one_process_count_as_well():
    planned = arguments(graphics_cards=2)
    plan_steps(planned, OptimizationSettings(batch_size=64), {})
    assert planned.per_device_train_batch_size == 32


def test_the_learning_rate_follows_the_batch_and_says_so():
    planned = arguments(processes=4, gradient_accumulation_steps=2)
    lines = plan_steps(planned, OptimizationSettings(scale_learning_rate_from=256), {})
    assert planned.learning_rate == pytest.approx(1e-3 * 64 / 256)
    assert lines == [
        "Batch: 64 images a step (4 x 8 x 2 accumulated)",
        "Learning rate: 0.00025, scaled from 0.001 for a batch of 256 to this one of 64",
    ]


@pytest.mark.parametrize(
    ("processes", "given", "message"),
    [
        (3, {}, "64 does not divide into 3 processes x 1 accumulated batches; 63 does"),
        (1, {"per_device_train_batch_size": 24}, r"does not divide into 1 x 24 images .*; 72 does"),
        (
            1,
            {"per_device_train_batch_size": 16, "gradient_accumulation_steps": 2},
            "is 32 images for each .* but training.per_device_train_batch_size is 16; leave one",
        ),
    ],
)
def test_a_batch_that_does_not_divide_is_refused_with_one_that_does(processes: int, given: dict, message: str):
    with pytest.raises(ValueError, match=message):
        plan_steps(arguments(processes=processes, **given), OptimizationSettings(batch_size=64), given)
