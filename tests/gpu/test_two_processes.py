"""Two processes share a card, which NCCL refuses and gloo does not, and learn what one does from twice the batch."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from gpu.programs import assert_all_end, started
from processes import free_port

from vit_hf.training.trainer.callbacks import reproducible

STEPS, BATCH = 4, 16
# Dropout draws in each process; the augmentation of an image is the same wherever it is read.
CALM = {"hidden_dropout_prob": 0.0, "drop_path_rate": 0.0}


def order(family: str, folder: Path, batch: int, device: torch.device) -> dict[str, Any]:
    settings = {
        "model": CALM,
        "batches": 12 * BATCH // batch,
        "per_device_train_batch_size": batch,
        "max_steps": STEPS,
        "logging_steps": 1,
        "bf16": False,
        "use_cpu": device.type == "cpu",
        **({"ddp_backend": "gloo"} if batch < BATCH else {}),
    }
    return {"family": family, "folder": str(folder), "settings": settings}


def environments() -> list[dict[str, str]]:
    """As of two machines with a card each, for Accelerate takes a local rank for the number of a card."""
    group = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    return [{**group, "RANK": str(rank), "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1"} for rank in range(2)]


def losses(folder: Path) -> list[float]:
    lines = reproducible((folder / "metrics.jsonl").read_text())
    return [line["loss"] for line in lines if "loss" in line]


@pytest.mark.parametrize("family", ["vit", "swin"])
def test_two_processes_on_one_card_follow_one_with_twice_the_batch(device: torch.device, tmp_path: Path, family: str):
    (one := tmp_path / "one").mkdir()
    (two := tmp_path / "two").mkdir()
    orders = [order(family, one, BATCH, device)] + 2 * [order(family, two, BATCH // 2, device)]
    with started("runs.py", orders, [{}, *environments()]) as processes:
        assert_all_end(processes)
    expected, found = losses(one), losses(two)
    assert len(expected) == STEPS
    assert found == pytest.approx(expected, rel=5e-5), f"losses {json.dumps(found)} for {json.dumps(expected)}"
