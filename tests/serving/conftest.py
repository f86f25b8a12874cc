"""One server for the tests of this folder, and others with other settings."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

for needed in ("fastapi", "uvicorn", "python_multipart", "prometheus_client"):
    pytest.importorskip(needed, reason=f"serving needs {needed}: pip install 'vit_hf[serve]'")

import httpx  # noqa: E402
from made_images import noise, png  # noqa: E402
from running_apps import running  # noqa: E402

from vit_hf.serving.app import Serving, make_app  # noqa: E402
from vit_hf.serving.batching import ServedModel  # noqa: E402

SETTINGS: dict[str, Any] = {"max_batch": 8, "batch_wait_ms": 20, "max_bytes": 500_000, "max_count": 3}
SETTINGS |= {"max_pixels": 100_000}


@pytest.fixture(scope="session")
def served(saved: Path) -> ServedModel:
    return ServedModel(str(saved), top=3, max_pixels=SETTINGS["max_pixels"])


@pytest.fixture(scope="session")
def address(served: ServedModel) -> Iterator[str]:
    with running(make_app(served, Serving(**SETTINGS))) as address:
        yield address


@pytest.fixture(scope="session")
def client(address: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=address, timeout=30, limits=httpx.Limits(max_connections=40)) as client:
        yield client


@pytest.fixture
def start(served: ServedModel, request: pytest.FixtureRequest) -> Callable[..., str]:
    """A server of the same model with other settings -> where it answers"""

    def started(**other: Any) -> str:
        context = running(make_app(served, Serving(**{**SETTINGS, **other})))
        request.addfinalizer(lambda: context.__exit__(None, None, None))
        return context.__enter__()

    return started


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Twenty images, no two alike, of several sizes."""
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(20):
        (folder / f"{number:02}.png").write_bytes(png(noise(number, size=24 + 8 * (number % 4))))
    return sorted(folder.iterdir())
