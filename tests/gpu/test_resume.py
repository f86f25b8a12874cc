"""A run in bfloat16 that is killed and resumed is bit for bit the uninterrupted one, under deterministic algorithms.

That takes `training.full_determinism: true` and nothing else: it sets CUBLAS_WORKSPACE_CONFIG before CUDA is begun
with, and lets torch choose the deterministic forms of attention's backward passes.
"""

import json
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from gpu.programs import assert_all_end, started
from safetensors.torch import load_file

from vit_hf.training.trainer.callbacks import reproducible
from vit_hf.training.trainer.checkpoints import checkpoints_in

FAMILIES = ("vit", "swin", "timesformer")
LAST, BETWEEN = "checkpoint-12", "checkpoint-6"


def orders(family: str, folder: Path, device: torch.device) -> dict[str, Any]:
    settings = {"save_strategy": "steps", "save_steps": 6, "full_determinism": True, "use_cpu": device.type == "cpu"}
    return {"family": family, "folder": str(folder), "settings": settings}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, device: torch.device) -> dict[str, tuple[Path, Path]]:
    """By family the folders of an uninterrupted run, and of one that was killed after its checkpoint and resumed."""
    folders = {family: (tmp_path_factory.mktemp(family), tmp_path_factory.mktemp(family)) for family in FAMILIES}
    whole, cut = ([orders(family, folders[family][number], device) for family in FAMILIES] for number in (0, 1))
    with started("runs.py", whole) as uninterrupted:
        with started("runs.py", [order | {"dies_at_step": 8} for order in cut]) as killed:
            assert_all_end(killed, -signal.SIGKILL)
        for _, folder in folders.values():
            assert [path.name for path in checkpoints_in(folder)] == [BETWEEN]
        with started("runs.py", [order | {"resume": True} for order in cut]) as resumed:
            assert_all_end([*uninterrupted, *resumed])
    return folders


def differences(one: Any, other: Any, place: str = "") -> list[str]:
    """Where two nested things are not the same to the bit."""
    if isinstance(one, dict):
        if one.keys() != other.keys():
            return [f"{place}: {sorted(map(str, one.keys() ^ other.keys()))} in one of the two"]
        return [found for key in one for found in differences(one[key], other[key], f"{place}.{key}")]
    if isinstance(one, list | tuple):
        pairs = enumerate(zip(one, other, strict=True))
        return [found for number, (first, second) in pairs for found in differences(first, second, f"{place}.{number}")]
    if isinstance(one, torch.Tensor):
        same = torch.equal(one, other)
        return [] if same else [f"{place}: up to {(one.double() - other.double()).abs().max():.2e} apart"]
    return [] if one == other else [f"{place}: {one} and {other}"]


def contents(folder: Path) -> dict[str, Any]:
    """Weights, averages, moments, schedule, random numbers to come, sums of losses."""
    names = ("optimizer.pt", "scheduler.pt", "processes.pt")
    pickled = {name: torch.load(folder / name, map_location="cpu", weights_only=True) for name in names}
    return {
        "weights": load_file(folder / "model.safetensors"),
        "averages": load_file(folder / "states" / "ema.safetensors"),
        "run": json.loads((folder / "run.json").read_text()),
        **pickled,
    }


@pytest.mark.parametrize("family", FAMILIES)
def test_a_killed_and_resumed_run_is_the_uninterrupted_one(family: str, finished: dict[str, tuple[Path, Path]]):
    whole, resumed = finished[family]
    apart = differences(contents(whole / LAST), contents(resumed / LAST))
    assert not apart, f"{family}: {len(apart)} differences, the first of which are:\n" + "\n".join(apart[:10])
    logs = [reproducible((folder / "metrics.jsonl").read_text()) for folder in (whole, resumed)]
    assert logs[0] == logs[1]


@pytest.mark.parametrize("family", FAMILIES)
def test_something_was_learned_between_the_checkpoints(family: str, finished: dict[str, tuple[Path, Path]]):
    whole, _ = finished[family]
    assert differences(*(contents(whole / name)["weights"] for name in (BETWEEN, LAST)))
