"""A Hub of its own for each test, with three people, and a model that they may publish."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hub_server.hub import User
from hub_server.port import RESERVED
from hub_server.server import HubServer
from huggingface_hub import HfApi, close_session, constants
from tiny import tiny

from vit_hf import VisionTransformerForImageClassification
from vit_hf.data.preprocessing import make_image_processor

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
