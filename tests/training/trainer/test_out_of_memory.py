from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from training.small_runs import Noise, small_model, trainer_of

from vit_hf.training.recipe.arguments import argument_names
from vit_hf.training.trainer import out_of_memory
from vit_hf.training.trainer.out_of_memory import OutOfMemory, StepMemory, divided, peaks_of, step_memory

# What transformers renamed.
CHECKPOINTING = next(
    name for name in ("activation_checkpointing", "gradient_checkpointing") if name in argument_names()
)
FULL = "CUDA out of memory. Tried to allocate 20.00 MiB."


def fitting(model: Any, images: int) -> Any:
    """The model on a device that runs out of memory with more images than these."""
    forward = model.forward

    def forward_if_it_fits(pixel_values, **rest):
        if len(pixel_values) > images:
            raise torch.OutOfMemoryError(FULL)
        return forward(pixel_values, **rest)

    model.forward = forward_if_it_fits
    return model


def test_a_batch_takes_what_is_left_of_nine_tenths_by_what_larger_steps_took_more():
    # Two images more took 100, so one takes 50; of the 210 beyond what is taken 200 are for four of them.
    memory = StepMemory.of(1000, 100, {1: 165, 2: 210, 4: 310})
    assert memory == StepMemory(usable=1000, taken=100, of_step=10, of_image=50)
    assert memory.images == (900 - 100 - 10) // 50 == 15


def test_of_one_step_that_fitted_all_is_the_image_s():
    memory = StepMemory.of(1000, 100, {1: 500})
    assert (memory.of_image, memory.images) == (400, 2)


def test_where_not_even_one_image_fitted_none_will():
    assert StepMemory.of(1000, 100, {}).images == 0
    assert StepMemory(usable=1000, taken=950, of_step=0, of_image=1).images == 0


@pytest.mark.parametrize(
    ("images", "most", "expected"),
    [(64, 27, (16, 4)), (96, 32, (32, 3)), (64, 63, (32, 2)), (97, 40, (40, 2)), (8, 1, (1, 8))],
)
def test_a_batch_is_divided_into_equal_ones_that_fit(images: int, most: int, expected: tuple[int, int]):
    assert divided(images, most) == expected


def test_steps_grow_until_one_does_not_fit_or_is_as_large_as_the_one_that_failed():
    def step(images: int) -> int:
        if images > 9:
            raise torch.OutOfMemoryError(FULL)
        return 10 * images

    assert peaks_of(step, 100) == {1: 10, 2: 20, 4: 40, 8: 80}
    assert peaks_of(step, 8) == {1: 10, 2: 20, 4: 40}


def test_a_step_without_memory_is_told_as_the_batch_that_would_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    measured = StepMemory(usable=10 << 30, taken=1 << 30, of_step=0, of_image=2 << 30)
    monkeypatch.setattr(out_of_memory, "step_memory", lambda trainer: measured)
    trainer = trainer_of(fitting(small_model(), 7), tmp_path, per_device_train_batch_size=8)
    with pytest.raises(OutOfMemory) as raised:
        trainer.train()
    said = str(raised.value)
    assert "ran out of memory in step 1, with training.per_device_train_batch_size: 8." in said
    assert "Of the 10 GiB that it has for this process 1 GiB are for the model" in said
    assert "each image takes 2 GiB. About 4 would fit." in said
    assert (
        "--training.per_device_train_batch_size 4 --training.gradient_accumulation_steps 2, which is 8 images" in said
    )
    assert f"--training.{CHECKPOINTING} true" in said


def test_the_advised_batches_make_the_same_step(tmp_path: Path):
    """On a device of which nothing is measured half of the batch is advised."""
    settings: dict[str, Any] = {"per_device_train_batch_size": 6, "gradient_accumulation_steps": 2, "max_steps": 1}
    with pytest.raises(OutOfMemory, match=r"Half of it may fit: 3. Take .*batch_size 3 .*accumulation_steps 4, which"):
        trainer_of(fitting(small_model(), 5), tmp_path / "full", data=Noise(12), **settings).train()
    settings |= {"per_device_train_batch_size": 3, "gradient_accumulation_steps": 4}
    losses = trainer_of(fitting(small_model(), 5), tmp_path / "fits", data=Noise(12), **settings).train().training_loss
    whole: dict[str, Any] = {"per_device_train_batch_size": 12, "max_steps": 1}
    assert losses == pytest.approx(trainer_of(small_model(), tmp_path, data=Noise(12), **whole).train().training_loss)


def test_checkpointing_is_not_advised_to_who_has_it(tmp_path: Path):
    recomputing: dict[str, Any] = {CHECKPOINTING: True}
    trainer = trainer_of(fitting(small_model(), 3), tmp_path, **recomputing)
    with pytest.raises(OutOfMemory) as raised:
        trainer.train()
    assert "_checkpointing" not in str(raised.value)


def test_transformers_may_look_for_a_batch_that_fits_itself(tmp_path: Path):
    trainer = trainer_of(fitting(small_model(), 4), tmp_path, per_device_train_batch_size=8, auto_find_batch_size=True)
    assert trainer.train().global_step == 2


def test_an_evaluation_without_memory_is_told_as_its_own_batch_that_may_fit(tmp_path: Path):
    model = fitting(small_model(), 4)
    trainer: Any = trainer_of(model, tmp_path, eval_strategy="steps", eval_steps=1, per_device_eval_batch_size=8)
    told = r"ran out of memory in an evaluation, with training.per_device_eval_batch_size: 8. Take .*eval_batch_size 4,"
    for run in (trainer.train, lambda: trainer.predict(trainer.eval_dataset)):
        with pytest.raises(OutOfMemory, match=told) as raised:
            run()
        assert "train_batch_size" not in str(raised.value)
    trainer.args.per_device_eval_batch_size = 4
    assert len(trainer.predict(trainer.eval_dataset).predictions) == len(trainer.eval_dataset)


def test_what_a_step_takes_is_measured_on_blank_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """With a card that says 1000 bytes are in use, and at most 300 more and 50 for each image of a step."""
    trainer, seen = trainer_of(small_model(), tmp_path), []
    trainer.model.register_forward_pre_hook(
        lambda module, given, named: seen.append(len(named["pixel_values"])), with_kwargs=True
    )
    card = {
        "memory_allocated": lambda device: 1000,
        "reset_peak_memory_stats": lambda device: None,
        "max_memory_allocated": lambda device: 1300 + 50 * seen[-1],
        "mem_get_info": lambda device: (9_000, 20_000),
        "memory_reserved": lambda device: 4_000,
        "get_per_process_memory_fraction": lambda device: 0.5,
    }
    for name, says in card.items():
        monkeypatch.setattr(torch.cuda, name, says)
    arguments = SimpleNamespace(device=torch.device("cuda"), per_device_train_batch_size=16, world_size=1)
    names = ("model", "model_wrapped", "accelerator", "compute_loss_context_manager")
    of_it = {name: getattr(trainer, name) for name in names}
    begun, fresh = (SimpleNamespace(state=state) for state in ({"exp_avg": 0}, {}))
    found = step_memory(SimpleNamespace(args=arguments, optimizer=begun, **of_it))
    assert seen == [1, 2, 4, 8]
    assert found == StepMemory(usable=10_000, taken=1000, of_step=300, of_image=50)
    assert all(parameter.grad is None for parameter in trainer.model.parameters())
    moments = 2 * sum(parameter.nbytes for parameter in trainer.model.parameters())
    before_the_first = step_memory(SimpleNamespace(args=arguments, optimizer=fresh, **of_it))
    assert before_the_first == StepMemory(usable=10_000, taken=1000 + moments, of_step=300, of_image=50)
