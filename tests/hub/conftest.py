"""A Hub of its own for each test, with three people, and a model that they may publish."""

from pathlib import Path
from typing import Any

import pytest
import torch
from hub_server.server import HubServer
from huggingface_hub import HfApi
from tiny import tiny

from vit_hf import VisionTransformerForImageClassification
from vit_hf.data.preprocessing import make_image_processor


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
