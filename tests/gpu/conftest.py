"""Tests of what only an accelerator does. Where there is none they are skipped as a whole, without being imported.

On one card: `python3 -m pytest -n 6 --dist loadfile tests/gpu`. VIT_HF_TEST_DEVICE=cpu runs whatever can run on a CPU,
which checks the tests themselves where there is no card.
"""

import os
import warnings
from pathlib import Path

import pytest
import torch

DEVICE = os.environ.get("VIT_HF_TEST_DEVICE") or ("cuda" if torch.cuda.is_available() else "")
HERE = Path(__file__).parent


class NeedsCard(pytest.Module):
    """A file of tests that is not even imported where there is no card."""

    def collect(self):
        if not DEVICE:
            pytest.skip("torch sees no CUDA device; VIT_HF_TEST_DEVICE=cpu checks the tests themselves")
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            return [*super().collect()]


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module:
    return NeedsCard.from_parent(parent, path=module_path)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Drivers and compilers of a card warn of what is no fault of the package: shown, and no failure."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("default"))


@pytest.fixture(scope="session")
def device() -> torch.device:
    return torch.device(DEVICE)


@pytest.fixture
def card(device: torch.device) -> torch.device:
    """As `device`, for what a CPU cannot do."""
    if device.type != "cuda":
        pytest.skip("only a CUDA device can do this")
    return device


@pytest.fixture(autouse=True)
def _exact() -> None:
    """Products of float32 in float32, and compilers that know nothing of the tests before."""
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    torch._dynamo.reset()
