"""Repositories of strangers that want more than to be loaded."""

import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from hub_server.server import HubServer
from huggingface_hub import HfApi
from safetensors.torch import load_file

from vit_hf import VisionTransformerForImageClassification
from vit_hf.publishing.load_classifier import load_classifier


class Trap:
    """Leaves a file behind wherever it is unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def write_config(folder: Path, **changes) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def refused(folder: Path) -> list[str]:
    """What is said of a folder by its path, and by its id on the Hub."""
    HfApi().create_repo("stranger/model", token="hf_stranger", exist_ok=True)
    HfApi().upload_folder(repo_id="stranger/model", folder_path=folder, token="hf_stranger")
    said = []
    for name in (str(folder), "stranger/model"):
        with pytest.raises(ValueError, match="stranger/model" if name == "stranger/model" else "folder") as caught:
            load_classifier(name)
        said.append(str(caught.value))
    return said


@pytest.fixture
def folder(hub: HubServer, saved: Path, tmp_path: Path) -> Path:
    return shutil.copytree(saved, tmp_path / "folder")


def test_pickles_are_not_opened(folder: Path, tmp_path: Path):
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    (folder / "model.safetensors").unlink()
    for sentence in refused(folder):
        assert "a pickle can run any code" in sentence
        assert "convert" in sentence
    with pytest.raises(OSError, match="one can run any code"):
        VisionTransformerForImageClassification.from_pretrained(folder)
    with pytest.raises(OSError, match="one can run any code"):
        VisionTransformerForImageClassification.from_pretrained("stranger/model")
    assert not (tmp_path / "sprung").exists()


def test_a_pickle_of_ones_own_can_be_opened_on_demand(folder: Path):
    weights = load_file(folder / "model.safetensors")
    torch.save(weights, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    model: Any = VisionTransformerForImageClassification.from_pretrained(folder, use_safetensors=False)
    assert torch.equal(model.state_dict()["classifier.weight"], weights["classifier.weight"])


def test_code_is_not_run_unasked(folder: Path, tmp_path: Path):
    (folder / "evil.py").write_text(f"import pathlib\npathlib.Path({str(tmp_path / 'sprung')!r}).touch()\n")
    write_config(folder, model_type="evil", auto_map={"AutoConfig": "evil.Config", "AutoModel": "evil.Model"})
    for sentence in refused(folder):
        assert "(evil.py), and code is not run unasked" in sentence
        assert "owner/name@commit" in sentence
    assert not (tmp_path / "sprung").exists()


def test_code_from_a_third_place_is_named(folder: Path):
    write_config(folder, model_type="evil", auto_map={"AutoConfig": "other/place--evil.Config"})
    assert all("(other/place: evil.py)" in sentence for sentence in refused(folder))


def test_our_own_code_is_used_instead_of_what_lies_beside_the_weights(folder: Path, tmp_path: Path, hub: HubServer):
    trap = f"import pathlib\npathlib.Path({str(tmp_path / 'sprung')!r}).touch()\n"
    for file in folder.glob("*.py"):
        file.write_text(trap)
    (folder / "modeling_vit.py").write_text(trap)
    HfApi().create_repo("you/model")
    HfApi().upload_folder(repo_id="you/model", folder_path=folder)
    model, _ = load_classifier("you/model")
    assert type(model).__module__ == "vit_hf.models.modeling_vit"
    assert not (tmp_path / "sprung").exists()
    assert not hub.requests("resolve/.*[.]py")


@pytest.mark.parametrize("outside", ["../model.safetensors", "/etc/passwd", "sub/model.safetensors"])
def test_weights_outside_of_the_folder_are_not_read(folder: Path, outside: str):
    write_config(folder, transformers_weights=outside)
    said = refused(folder)
    assert all("config.json of" in sentence and f"outside of its folder ({outside})" in sentence for sentence in said)
    write_config(folder, transformers_weights=None)
    index = {"metadata": {}, "weight_map": {"classifier.weight": outside}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert all("index.json of" in sentence and outside in sentence for sentence in refused(folder))
