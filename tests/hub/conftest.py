"""A Hub of its own for each test, with three people."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_server.hub import User
from hub_server.port import RESERVED
from hub_server.server import HubServer
from huggingface_hub import close_session, constants

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
    # A download that was cut off goes on from a multiple of this; 10 MiB, where a test does not say otherwise.
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1 << 14)
    return hub_server
