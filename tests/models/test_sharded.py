"""FSDP2: each layer and the rest sharded over processes, by hand or by Accelerate, under a policy of dtypes or none."""

from pathlib import Path
from typing import Any

import pytest
import torch
from processes import CONTEXT, all_succeed, group_of
from safetensors.torch import load_file
from sharded_steps import CASES, LABELS, POLICIES, started_anew, step, step_by_accelerate
from torch import nn


def steps_in(folder: Path, target: Any) -> Path:
    processes = [CONTEXT.Process(target=target, args=(own, folder), daemon=True) for own in group_of(2)]
    for process in processes:
        process.start()
    all_succeed(processes)
    return folder


@pytest.fixture(scope="module")
def by_hand(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One step of two processes, for each case and policy."""
    return steps_in(tmp_path_factory.mktemp("by_hand"), step)


@pytest.fixture(scope="module")
def by_accelerate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return steps_in(tmp_path_factory.mktemp("by_accelerate"), step_by_accelerate)


def step_of_one(case: str, policy: str) -> dict[str, torch.Tensor]:
    """Loss and gradients of the whole batch, in halves, by a model that has the dtypes of the policy."""
    model, pixels = started_anew(case)
    if policy != "float32":
        model.bfloat16()
        for module in model.modules():
            if isinstance(module, nn.LayerNorm) and policy.endswith("norms float32"):
                module.float()
    expected: dict[str, Any] = {"loss": 0.0}
    for half, labels in zip(pixels.chunk(2), LABELS.chunk(2), strict=True):
        model.zero_grad()
        loss = model(half, labels=labels).loss
        loss.backward()
        expected["loss"] += loss.detach().float() / 2
        for name, parameter in model.named_parameters():
            if parameter.grad is not None:
                expected[name] = expected.get(name, 0) + parameter.grad.float() / 2
    return expected


def assert_same_step(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor], *, coarse: bool) -> None:
    """Each gradient; where bfloat16 is `coarse`, which a sum that vanishes shows most, all of them together."""
    assert found.keys() == expected.keys()
    torch.testing.assert_close(found.pop("loss"), expected.pop("loss"), rtol=1e-2 if coarse else 1e-6, atol=0)
    off = torch.stack([(found[name] - gradient).norm() for name, gradient in expected.items()])
    size = torch.stack([gradient.norm() for gradient in expected.values()])
    if coarse:
        assert off.norm() < 0.03 * size.norm()
    else:
        assert (off < 1e-5 * size).all()


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("policy", POLICIES)
def test_a_step_of_two_processes_with_shards_is_that_of_one_with_all(by_hand, case, policy):
    """Norms of float32 in the midst of bfloat16 too."""
    coarse = policy != "float32"
    assert_same_step(load_file(by_hand / f"{case}, {policy}.st"), step_of_one(case, policy), coarse=coarse)


@pytest.mark.parametrize("case", CASES)
def test_a_step_by_accelerate_is_that_of_one_process(by_accelerate, case):
    assert_same_step(load_file(by_accelerate / f"{case}, accelerate.st"), step_of_one(case, "bf16"), coarse=True)
