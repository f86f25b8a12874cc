"""A folder on its way to a live Hub, by the real clients."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hub_server.faults import Fault
from hub_server.server import HubServer
from tiny import images, tiny
from transformers import AutoModelForImageClassification, ViTImageProcessorPil

from vit_hf import VisionTransformerForImageClassification, __version__
from vit_hf.hub.push import push
from vit_hf.hub.repository import refuse_strange_code, repository_files
from vit_hf.hub.secrets import refuse_secrets
from vit_hf.models.image_processing_vit import VisionTransformerImageProcessor
from vit_hf.weight_hash import hash_in_words, weight_hash

CARD = "---\nlicense: apache-2.0\n---\n\n# A model\n\n![Predictions](predictions.png)\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What a training leaves, and some of what it may leave beside."""
    folder = tmp_path / "run"
    model: Any = tiny(VisionTransformerForImageClassification)
    model.save_pretrained(folder)
    ViTImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(folder)
    (folder / "README.md").write_text(CARD)
    (folder / "predictions.png").write_bytes(b"picture")
    (folder / "recipe.yaml").write_text("data: {name: digits}\n")
    (folder / "metrics.json").write_text("{}")
    (folder / "checkpoint-3").mkdir()
    for stray in ("training_args.bin", "checkpoint-3/optimizer.pt", "notes.txt", "spare.png", "helper.py"):
        (folder / stray).write_bytes(b"stray")
    return folder


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long was waited, without waiting."""
    waited: list[float] = []
    monkeypatch.setattr("vit_hf.hub.attempts.sleep", waited.append)
    return waited


def test_what_belongs_to_the_model_is_pushed_and_nothing_else(hub: HubServer, folder: Path):
    pushed = push(folder, "you/model", tag="v1.0", message="A first model", private=True)
    repository = hub.repository("you/model")
    commit = repository.at()
    code = {"attention", "blocks", "configuration_vit", "modeling_base", "modeling_vit", "patches", "pooling"}
    code |= {"modeling_vit_heads"}
    code |= {"configuration_base", "fast_paths", "positions", "shapes", "target_units"}
    beside = {"README.md", "config.json", "metrics.json", "model.safetensors", "predictions.png"}
    beside |= {"preprocessor_config.json", "recipe.yaml", ".gitattributes"}
    assert set(commit.files) == {f"{name}.py" for name in code} | beside
    assert (pushed.oid, repository.refs["refs/tags/v1.0"]) == (commit.id, commit.id)
    assert (commit.title, repository.private) == ("A first model", True)
    assert len(list(repository.history())) == 2  # the empty one that every repository begins with, and ours
    model = AutoModelForImageClassification.from_pretrained("you/model", revision="v1.0")
    pixels = images()
    expected = AutoModelForImageClassification.from_pretrained(folder)
    assert torch.equal(model(pixels).logits, expected(pixels).logits)


def test_what_an_earlier_push_left_gives_way_and_what_others_added_stays(hub: HubServer, folder: Path):
    push(folder, "you/model")
    model: Any = VisionTransformerForImageClassification.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size="20KB")
    again = push(folder, "you/model")
    files = hub.repository("you/model").at().files
    assert "model.safetensors" not in files
    assert len([name for name in files if name.endswith(".safetensors")]) > 1
    assert push(folder, "you/model").oid == again.oid  # nothing has changed, and no commit is made


def test_a_branch_begins_where_it_is_told_and_a_pull_request_leaves_main(hub: HubServer, folder: Path):
    first = push(folder, "you/model").oid
    (folder / "metrics.json").write_text('{"accuracy": 1}')
    branch = push(folder, "you/model", branch="trial", revision=first)
    request = push(folder, "you/model", create_pr=True)
    refs = hub.repository("you/model").refs
    assert (refs["refs/heads/main"], refs["refs/heads/trial"], refs["refs/pr/1"]) == (first, branch.oid, request.oid)
    assert request.pr_url
    with pytest.raises(ValueError, match="made against main, and not against trial"):
        push(folder, "you/model", branch="trial", create_pr=True)


FAULTS = {
    "nothing is made": ("POST /api/repos/create", "status", 503),
    "it is made, and nobody says so": ("POST /api/repos/create", "lost", 0),
    "the commit fails": ("/commit/", "status", 502),
    "the commit is made, and nobody says so": ("/commit/", "lost", 0),
    "too many requests": ("/refs", "status", 429),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_passes_is_waited_for(hub: HubServer, folder: Path, waits: list[float], fault: str):
    pattern, kind, status = FAULTS[fault]
    headers = {"Retry-After": "7"} if status == 429 else {}
    hub.faults.append(Fault(kind, pattern, status=status or 500, headers=headers))  # type: ignore[arg-type]
    pushed = push(folder, "you/model")
    commits = list(hub.repository("you/model").history())
    assert (len(commits), commits[0].id) == (2, pushed.oid)
    assert waits == [7.0 if status == 429 else 1.0]


def test_a_lost_answer_makes_no_second_pull_request(hub: HubServer, folder: Path, waits: list[float]):
    push(folder, "you/model")
    (folder / "metrics.json").write_text('{"accuracy": 1}')
    hub.faults.append(Fault("lost", "/commit/"))
    push(folder, "you/model", create_pr=True)
    assert [ref for ref in hub.repository("you/model").refs if "/pr/" in ref] == ["refs/pr/1"]


def test_what_does_not_pass_leaves_everything_as_it_was(hub: HubServer, folder: Path, waits: list[float]):
    hub.faults.append(Fault("status", "/commit/", times=99))
    with pytest.raises(ValueError, match=r"answered with an error \(500\).* The repository is as it was"):
        push(folder, "you/new")
    assert "you/new" not in hub.hub.repositories
    hub.faults.clear()
    first = push(folder, "you/model").oid
    (folder / "metrics.json").write_text("[]")
    hub.faults.append(Fault("status", "/commit/", times=99))
    with pytest.raises(ValueError, match="as it was"):
        push(folder, "you/model", branch="trial")
    assert hub.repository("you/model").refs == {"refs/heads/main": first}
    hub.faults.clear()
    uploads = len(hub.requests("PUT /storage"))
    push(folder, "you/model", branch="trial")
    assert len(hub.requests("PUT /storage")) == uploads  # the weights were there already


@pytest.mark.parametrize(
    ("token", "repo_id", "sentence"),
    [
        (None, "you/model", "no token for the Hub; log in"),
        ("hf_nobody", "you/model", "does not know your token"),
        ("hf_reader", "you/model", "may only read|may not do this"),
        ("hf_you", "stranger/model", "that of you, which may not write to stranger/model"),
        ("hf_you", "a/b/c", "'a/b/c' is no id of a repository"),
        ("hf_you", "you/mo del", "is no id of a repository"),
    ],
)
def test_who_may_not_is_told_so(hub: HubServer, folder: Path, monkeypatch, token, repo_id: str, sentence: str):
    monkeypatch.delenv("HF_TOKEN") if token is None else monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(ValueError, match=sentence):
        push(folder, repo_id)
    assert not hub.hub.repositories


def test_a_tag_that_is_taken_is_refused_before_anything_is_sent(hub: HubServer, folder: Path):
    push(folder, "you/model", tag="v1")
    hub.log.clear()
    with pytest.raises(ValueError, match="has a tag v1 already"):
        push(folder, "you/model", tag="v1")
    assert not hub.requests("POST .*(preupload|commit)")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda folder: (folder / "config.json").unlink(), "is no model: it has no config.json"),
        (lambda folder: (folder / "README.md").unlink(), "has no card"),
        (lambda folder: (folder / "model.safetensors").rename(folder / "pytorch_model.bin"), "in a pickle"),
        (lambda folder: (folder / "trainer_state.json").write_text("{}"), "in the middle of a training"),
        (lambda folder: (folder / "predictions.png").unlink(), "shows predictions.png, which does not lie"),
        (lambda folder: (folder / "blocks.py").unlink(), "blocks.py"),
    ],
)
def test_a_folder_that_lacks_something_is_refused(folder: Path, change, sentence: str):
    change(folder)
    with pytest.raises((ValueError, OSError), match=sentence):
        repository_files(folder)


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("token: hf_" + "aB3dE6gH9jK2mN5pQ8sT", "a token of the Hub"),
        ("key: AKIA" + "ABCDEFGHIJKLMNOP", "a key of AWS"),
        ("-----BEGIN RSA PRIVATE KEY-----", "a private key"),
        ("data: {name: /home/me/photos}", r"a path on this machine \(/home/me/photos\)"),
        ("data: {name: ~/photos}", "a path on this machine"),
        (r"data: {name: 'C:\Users\me'}", "a path on a Windows machine"),
    ],
)
def test_secrets_and_paths_are_found_by_file_and_line(folder: Path, line: str, what: str):
    (folder / "recipe.yaml").write_text(f"model: {{size: ti}}\n{line}\n")
    with pytest.raises(ValueError, match=rf"recipe.yaml, line 2: {what}"):
        refuse_secrets(folder, repository_files(folder))


def test_addresses_and_divisions_are_no_paths(folder: Path):
    text = "https://huggingface.co/you/model, 3/4 of it, and/or ViT-B/16, [x](https://a.b/c/d), data/photos/cats"
    (folder / "recipe.yaml").write_text(f"# {text}\n")
    refuse_secrets(folder, repository_files(folder))


def test_code_of_another_version_is_refused_by_name(folder: Path):
    refuse_strange_code(folder)
    (folder / "blocks.py").write_text("# older\n" + (folder / "blocks.py").read_text())
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"vit_hf_version": "0.0.9"}))
    with pytest.raises(ValueError, match=rf"installed vit_hf {__version__}: blocks.py differs; 0.0.9 wrote it"):
        refuse_strange_code(folder)


def test_models_and_processors_push_themselves_with_code_and_card(hub: HubServer):
    model: Any = tiny(VisionTransformerForImageClassification)
    model.push_to_hub("you/model", tags=["tiny"])
    repository = hub.repository("you/model")
    card = repository.read("README.md").decode()
    assert "More" not in card
    assert "- tiny" in card
    assert "modeling_vit.py" in repository.at().files
    processor = VisionTransformerImageProcessor(size={"shortest_edge": 36}, crop_size={"height": 32, "width": 32})
    processor.push_to_hub("you/model")
    assert repository.read("README.md").decode() == card
    assert {"image_processing_vit.py", "modeling_vit.py"} <= set(repository.at().files)
    pixels = images()
    assert torch.equal(
        AutoModelForImageClassification.from_pretrained("you/model")(pixels).logits, model(pixels).logits
    )


def test_a_card_of_other_weights_gives_way_and_one_of_the_same_stays(hub: HubServer, folder: Path):
    own = f"# Mine\n\nWeights: {hash_in_words(weight_hash(folder))}\n"
    (folder / "README.md").write_text(own)
    push(folder, "you/model")
    model: Any = VisionTransformerForImageClassification.from_pretrained(folder)
    model.push_to_hub("you/model")
    assert hub.repository("you/model").read("README.md").decode() == own
    with torch.no_grad():
        model.classifier.bias += 1
    model.push_to_hub("you/model")
    assert "# Mine" not in hub.repository("you/model").read("README.md").decode()


def test_the_blank_card_of_transformers_gives_way(hub: HubServer):
    ViTImageProcessorPil(size={"height": 32, "width": 32}).push_to_hub("you/model")
    assert "More Information Needed" in hub.repository("you/model").read("README.md").decode()
    model: Any = tiny(VisionTransformerForImageClassification)
    model.push_to_hub("you/model")
    assert "More Information Needed" not in hub.repository("you/model").read("README.md").decode()
    assert "preprocessor_config.json" in hub.repository("you/model").at().files
