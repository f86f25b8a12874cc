"""What every test may count on: no network, no leftovers of other runs, no screen, signals that arrive."""

import atexit
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

from hub_server.port import ENDPOINT, RESERVED

# Set before torch and transformers are imported, because both read their environment only then.
HOME = tempfile.mkdtemp(prefix="vit_hf-tests-")
atexit.register(shutil.rmtree, HOME, ignore_errors=True)
atexit.register(RESERVED.close)
os.environ |= {"HF_HOME": HOME, "HF_HUB_OFFLINE": "1", "HF_ENDPOINT": ENDPOINT, "MPLBACKEND": "Agg"}
os.environ |= {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "DISABLE_SAFETENSORS_CONVERSION": "1"}
os.environ.pop("HF_TOKEN", None)
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # other programs on the machine may use the cores too
# Tests run beside each other, and the last bits of a sum depend on the number of threads.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Whoever starts the tests may ignore or block signals (a shell does for what runs behind `&`, so does nohup), and that
# is inherited: Ctrl-C would not arrive, and the exit codes of children would be lost.
DISPOSITIONS = {"SIGINT": signal.default_int_handler} | dict.fromkeys(("SIGTERM", "SIGUSR1", "SIGCHLD"), signal.SIG_DFL)
for name, disposition in DISPOSITIONS.items():
    if hasattr(signal, name):
        signal.signal(getattr(signal, name), disposition)
if hasattr(signal, "pthread_sigmask"):
    signal.pthread_sigmask(signal.SIG_SETMASK, [])

from typing import Any  # noqa: E402
from unittest import mock  # noqa: E402

import pytest  # noqa: E402
import torch  # noqa: E402
from hub_server.hub import User  # noqa: E402
from hub_server.server import HubServer  # noqa: E402
from huggingface_hub import HfApi, close_session, constants  # noqa: E402
from hypothesis import settings  # noqa: E402

# A failing example is the same on every machine, and a busy machine fails no test.
settings.register_profile("house", deadline=None, derandomize=True, database=None)
settings.load_profile("house")


@pytest.fixture(autouse=True)
def _seed() -> None:
    """Each test draws the same random numbers, whichever tests ran before it."""
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _environment() -> Iterator[None]:
    """No test leaves variables behind, as transformers' arguments of a compiled training do."""
    with mock.patch.dict(os.environ):
        yield


USERS = {"hf_you": User("you"), "hf_reader": User("you", role="read"), "hf_stranger": User("stranger")}


@pytest.fixture(scope="session")
def hub_server() -> Iterator[HubServer]:
    with HubServer(RESERVED) as server:
        yield server
    close_session()


@pytest.fixture
def hub(hub_server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HubServer:
    """An empty Hub, an empty cache, and the token of "you". The clients are the real ones, and are online."""
    hub_server.begin(tmp_path / "hub", USERS)
    monkeypatch.setenv("HF_TOKEN", "hf_you")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    # A download that was cut off goes on from a multiple of this, which is 10 MiB by default.
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1 << 14)
    return hub_server


def save_tiny(folder: Path, seed: int) -> Path:
    """A model with its processor and a card."""
    # Not before tests/parity could make torchvision importable, which the package's import brings.
    from tiny import tiny

    from vit_hf import VisionTransformerForImageClassification
    from vit_hf.data.decode.processors import make_image_processor

    torch.manual_seed(seed)
    model: Any = tiny(VisionTransformerForImageClassification)
    model.save_pretrained(folder)
    mean, std = [0.5] * 3, [0.25] * 3
    make_image_processor(model.config, mean=mean, std=std).save_pretrained(folder)
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n\n# A tiny model\n")
    return folder


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("saved") / "first", seed=1)


@pytest.fixture(scope="session")
def saved_later(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with other weights."""
    return save_tiny(tmp_path_factory.mktemp("saved") / "second", seed=2)


@pytest.fixture
def published(hub: HubServer, saved: Path) -> str:
    """The id of that model on the Hub, whose log is empty again."""
    HfApi().create_repo("you/model")
    HfApi().upload_folder(repo_id="you/model", folder_path=saved)
    hub.log.clear()
    return "you/model"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The file that takes longest comes first, or one process is left alone with it at the end."""
    items.sort(key=lambda item: item.path.name != "test_registration.py")
