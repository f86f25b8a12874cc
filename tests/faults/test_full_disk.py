import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from killable_runs import Averages, small_trainer
from transformers import TrainerCallback

from vit_hf.training.trainer.checkpoints import CheckpointNotWritten, fault_of


def no_file_over(size: int) -> None:
    """Files of this process may not grow beyond so many bytes, for which the system fails as a full disk does."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


@contextmanager
def with_room_again() -> Iterator[None]:
    """Before the test ends: its report may go into a file that is larger than what fits now."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("size", [5_000, 40_000], ids=["in the weights", "in the optimizer"])
def test_a_disk_that_fills_under_a_checkpoint_leaves_the_one_before_it(tmp_path: Path, size: int):
    class DiskFills(TrainerCallback):
        def on_step_begin(self, args, state, control, **kwargs):
            if state.global_step == 5:
                no_file_over(size)

    sizes = [path.stat().st_size for path in saved(tmp_path / "usual")]
    assert sizes[0] < 40_000 < sizes[1]
    trainer = small_trainer(tmp_path / "run", Averages(), DiskFills())
    with pytest.raises(CheckpointNotWritten) as raised, with_room_again():
        trainer.train()
    before = tmp_path / "run" / "checkpoint-3"
    assert "checkpoint-6 could not be written" in str(raised.value)
    assert f"{before} is intact: make room, and continue with --resume" in str(raised.value)
    assert fault_of(before) is None
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [".lock", "checkpoint-3", "metrics.jsonl"]


def saved(folder: Path) -> list[Path]:
    small_trainer(folder, max_steps=1).train()
    return [folder / "checkpoint-1" / name for name in ("model.safetensors", "optimizer.pt")]
