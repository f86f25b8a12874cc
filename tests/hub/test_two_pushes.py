"""Several pushes to one repository at once: one model is there as a whole, and whoever came too late is told."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hub_server.server import HubServer
from huggingface_hub import HfApi

from vit_hf import VisionTransformerForImageClassification
from vit_hf.hub.attempts import Overtaken
from vit_hf.hub.push import push


@pytest.fixture
def in_shards(saved_later: Path, tmp_path: Path) -> Path:
    """Another model, in several files with an index, and with figures of its own."""
    folder = tmp_path / "shards"
    model: Any = VisionTransformerForImageClassification.from_pretrained(saved_later)
    model.save_pretrained(folder, max_shard_size="20KB")
    (folder / "README.md").write_text("# The other\n")
    (folder / "metrics.json").write_text("{}")
    return folder


def files_of(hub: HubServer) -> set[str]:
    return {*hub.repository("you/model").at().files} - {".gitattributes"}


def assert_whole(hub: HubServer, folder: Path) -> None:
    """The weights and the card of one folder, and no weights besides."""
    weights = {path.name for path in folder.glob("*.safetensors*")}
    assert {name for name in files_of(hub) if ".safetensors" in name} == weights
    for name in (*weights, "README.md"):
        assert hub.repository("you/model").read(name) == (folder / name).read_bytes()


@pytest.mark.parametrize("is_new", [True, False])
@pytest.mark.parametrize("first_in_shards", [True, False])
def test_the_later_of_two_pushes_is_refused_and_the_earlier_one_stays_whole(
    hub: HubServer,
    saved: Path,
    in_shards: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    is_new: bool,
    first_in_shards: bool,
):
    own = tmp_path / "own"
    shutil.copytree(saved, own)
    if not is_new:
        push(own, "you/model")
    late, early = (in_shards, own) if first_in_shards else (own, in_shards)
    create_commit = HfApi.create_commit
    others: list[str] = []

    def after_another(self: HfApi, *arguments: Any, **options: Any):
        if not others:
            others.append("the other")
            (early / "recipe.yaml").write_text("model: {size: ti}\n")  # so that something changes
            push(early, "you/model")
        return create_commit(self, *arguments, **options)

    monkeypatch.setattr(HfApi, "create_commit", after_another)
    with pytest.raises(
        Overtaken, match=r"Somebody else has pushed to you/model .*nothing of this one is there"
    ) as told:
        push(late, "you/model")
    assert "as it was" not in str(told.value)
    assert_whole(hub, early)
    push(late, "you/model")  # as the sentence says
    assert_whole(hub, late)


def test_of_many_at_once_one_is_there_as_a_whole(hub: HubServer, saved: Path, in_shards: Path):
    def pushed(folder: Path) -> str:
        try:
            return push(folder, "you/model").oid
        except ValueError as error:
            return str(error)

    folders = [saved, in_shards] * 4
    with ThreadPoolExecutor(8) as pool:
        said = [*pool.map(pushed, folders)]
    head = hub.repository("you/model").at().id
    assert head in said
    assert_whole(hub, folders[said.index(head)])
    late = [one for one in said if " " in one]
    assert all("Somebody else has pushed" in one for one in late), late
