"""A batch that does not fit is told with one that does, and which then trains."""

import gc
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from gpu.runs import trainer_for

from vit_hf.training.trainer.out_of_memory import OutOfMemory, StepMemory, step_memory

BATCH, LIMIT = 256, 1.5 * 2**30  # images, and bytes that this process may have of the card
LARGER = {"image_size": 64, "hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 6}
ADVICE = re.compile(r"per_device_train_batch_size (\d+) --training.gradient_accumulation_steps (\d+)")


@pytest.fixture
def full_card(card: torch.device) -> Iterator[torch.device]:
    """As if others had taken the rest of it."""
    collect()
    torch.cuda.set_per_process_memory_fraction(LIMIT / torch.cuda.get_device_properties(card).total_memory)
    yield card
    torch.cuda.set_per_process_memory_fraction(1.0)
    collect()


def collect() -> None:
    gc.collect()
    torch.cuda.empty_cache()


def train(folder: Path, batch: int, accumulated: int = 1, **settings: Any) -> Any:
    arguments = {"per_device_train_batch_size": batch, "gradient_accumulation_steps": accumulated, "max_steps": 3}
    trainer = trainer_for("vit", folder, model=LARGER, batches=4 * accumulated, **arguments, **settings)
    trainer.train()
    return trainer


def advice(folder: Path, **settings: Any) -> tuple[int, int, str]:
    """What is said of a batch that is too large; all that the run held is free again afterwards."""
    with pytest.raises(OutOfMemory) as raised:
        train(folder, BATCH, **settings)
    said = str(raised.value)
    found = ADVICE.search(said)
    assert found, said
    return int(found[1]), int(found[2]), said


@pytest.mark.parametrize("bf16", [True, False], ids=["bf16", "float32"])
def test_the_advised_batch_trains_where_the_larger_one_did_not(full_card: torch.device, tmp_path: Path, bf16: bool):
    batch, accumulated, said = advice(tmp_path / "full", bf16=bf16)
    assert f"per_device_train_batch_size: {BATCH}" in said
    assert torch.cuda.get_device_name(full_card) in said
    assert batch * accumulated == BATCH, said
    collect()
    torch.cuda.reset_peak_memory_stats()
    assert train(tmp_path / "fits", batch, accumulated, bf16=bf16).state.global_step == 3
    # The largest that divides the batch may be half of what fits.
    used = torch.cuda.max_memory_allocated() / LIMIT
    assert used > 0.3, f"{said} Batches of {batch} use {used:.0%} of the memory."


def test_what_a_step_takes_is_measured_as_it_is_when_it_fits(full_card: torch.device, tmp_path: Path):
    trainer = train(tmp_path, 16, bf16=True)
    found = step_memory(trainer)
    assert isinstance(found, StepMemory)
    collect()
    torch.cuda.reset_peak_memory_stats()
    trainer.train()
    real = torch.cuda.max_memory_allocated()
    told = found.taken + found.of_step + 16 * found.of_image
    assert told == pytest.approx(real, rel=0.2), f"told {told:,} bytes for {real:,}: {found}"
