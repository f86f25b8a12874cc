"""The server, as the real clients of the Hub find it."""

import json
import random
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from hub_server.faults import Fault
from hub_server.hub import Hub, User
from hub_server.server import HubServer
from huggingface_hub import (
    CommitOperationAdd,
    HfApi,
    ModelCard,
    ModelCardData,
    hf_hub_download,
    snapshot_download,
)
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

DATA = random.Random(0).randbytes(100_000)


def status_of(call, *arguments, **options) -> int:
    with pytest.raises(HfHubHTTPError) as caught:
        call(*arguments, **options)
    return caught.value.response.status_code


def publish(hub: HubServer, **files: bytes) -> HfApi:
    """A repository with config.json and weights.bin, and an empty log."""
    api = HfApi()
    api.create_repo("you/model")
    contents = {"weights.bin": DATA, "config.json": b"{}", **files}
    operations = [CommitOperationAdd(path, content) for path, content in contents.items()]
    api.create_commit("you/model", operations, commit_message="first")
    hub.log.clear()
    return api


def test_repositories_are_made_found_and_deleted(hub: HubServer):
    api = HfApi()
    assert api.whoami()["name"] == "you"
    assert api.create_repo("model").repo_id == "you/model"
    assert api.create_repo("you/model", exist_ok=True).repo_id == "you/model"
    assert status_of(api.create_repo, "you/model") == 409
    assert status_of(api.create_repo, "stranger/model") == 403
    assert status_of(api.create_repo, "you/other", token="hf_reader") == 403
    assert status_of(api.create_repo, "you/other", token="hf_nobody") == 401
    api.create_repo("you/data", repo_type="dataset", private=True)
    assert [found.id for found in api.list_models(author="you")] == ["you/model"]
    assert [found.id for found in api.list_datasets(author="you")] == ["you/data"]
    assert [*api.list_datasets(token=False)] == []
    api.delete_repo("you/model")
    with pytest.raises(RepositoryNotFoundError):
        api.delete_repo("you/model")
    assert not api.repo_exists("you/model")


def test_organizations_own_repositories_too(hub: HubServer):
    hub.hub.users["hf_member"] = User("member", organizations=("school",))
    api = HfApi()
    api.create_repo("school/model", private=True, token="hf_member")
    assert api.model_info("school/model", token="hf_member").private
    assert status_of(api.model_info, "school/model") == 404


def test_files_are_committed_listed_and_deleted(hub: HubServer):
    api = publish(hub, **{"a/b/c.txt": b"c", "a/d.txt": b"d"})
    assert api.list_repo_files("you/model") == [".gitattributes", "a/b/c.txt", "a/d.txt", "config.json", "weights.bin"]
    assert {found.path for found in api.list_repo_tree("you/model", "a")} == {"a/b", "a/d.txt"}
    assert {found.path for found in api.get_paths_info("you/model", ["a", "config.json", "none"])} == {
        "a",
        "config.json",
    }
    weights: Any = api.get_paths_info("you/model", ["weights.bin"])[0]
    assert (weights.size, weights.lfs.size) == (len(DATA), len(DATA))
    api.delete_folder("a/b", "you/model")
    api.delete_file("config.json", "you/model")
    assert api.list_repo_files("you/model") == [".gitattributes", "a/d.txt", "weights.bin"]
    assert [one.title for one in api.list_repo_commits("you/model")][-2:] == ["first", "initial commit"]
    folder = Path(snapshot_download("you/model"))
    assert (folder / "weights.bin").read_bytes() == DATA
    assert (folder / "a" / "d.txt").read_bytes() == b"d"


def test_branches_tags_and_pull_requests(hub: HubServer):
    api = publish(hub)
    api.create_tag("you/model", tag="v1")
    assert status_of(api.create_tag, "you/model", tag="v1") == 409
    api.create_branch("you/model", branch="dev", revision="v1")
    api.create_branch("you/model", branch="dev", exist_ok=True)
    api.upload_file(repo_id="you/model", path_or_fileobj=b"x", path_in_repo="x.txt", revision="dev")
    assert api.file_exists("you/model", "x.txt", revision="dev")
    assert not api.file_exists("you/model", "x.txt", revision="v1")
    add = [CommitOperationAdd("x.txt", b"x")]
    first = api.list_repo_commits("you/model")[-1].commit_id
    assert status_of(api.create_commit, "you/model", add, commit_message="m", parent_commit=first) == 412
    proposed = api.create_commit("you/model", add, commit_message="m", create_pr=True, token="hf_stranger")
    assert proposed.pr_revision == "refs/pr/1"
    assert Path(hf_hub_download("you/model", "x.txt", revision="refs/pr/1")).read_bytes() == b"x"
    with pytest.raises(RemoteEntryNotFoundError):
        hf_hub_download("you/model", "x.txt")
    with pytest.raises(RevisionNotFoundError):
        api.model_info("you/model", revision="none")
    found = api.list_repo_refs("you/model", include_pull_requests=True)
    assert {ref.name for ref in found.branches} == {"main", "dev"}
    assert [ref.ref for ref in found.pull_requests or []] == ["refs/pr/1"]
    api.delete_tag("you/model", tag="v1")
    api.delete_branch("you/model", branch="dev")
    assert api.list_repo_refs("you/model").tags == []


def test_cards_are_checked(hub: HubServer):
    api = publish(hub)
    card = ModelCard.from_template(ModelCardData(license="mit", pipeline_tag="image-classification", tags=["vision"]))
    upload: Any = {"repo_id": "you/model", "path_in_repo": "README.md"}
    api.upload_file(path_or_fileobj=str(card).encode(), **upload)
    assert hub.requests("POST /api/validate-yaml")
    info = api.model_info("you/model")
    assert (info.pipeline_tag, info.tags) == ("image-classification", ["vision"])
    with pytest.raises(ValueError, match="Invalid metadata"):
        api.upload_file(path_or_fileobj=b"---\na: [\n---\n", **upload)


def test_what_is_private_does_not_even_exist_for_others(hub: HubServer):
    api = HfApi()
    api.create_repo("you/model", private=True)
    api.upload_file(repo_id="you/model", path_or_fileobj=DATA, path_in_repo="weights.bin")
    for call in (api.model_info, snapshot_download, api.delete_repo):
        assert status_of(call, "you/model", token="hf_stranger") == 404
        with pytest.raises(HfHubHTTPError):
            call("you/model", token=False)
    assert Path(hf_hub_download("you/model", "weights.bin", token="hf_reader")).read_bytes() == DATA
    upload: Any = {"repo_id": "you/model", "path_or_fileobj": b"1", "path_in_repo": "x.txt"}
    assert status_of(api.upload_file, **upload, token="hf_reader") == 403
    assert status_of(api.upload_file, **upload, token="hf_nobody") == 401
    # Large files lie on another host, which no client tells its token.
    assert {request.user for request in hub.requests(" /storage/")} == {None}
    assert {request.status for request in hub.requests(" /storage/")} == {200}


def test_a_gated_repository_shows_its_page_but_no_files(hub: HubServer):
    publish(hub)
    hub.repository("you/model").gated = True
    assert HfApi().model_info("you/model", token=False).gated == "auto"
    with pytest.raises(GatedRepoError):
        hf_hub_download("you/model", "weights.bin", token="hf_stranger")


def test_what_is_there_is_not_sent_again(hub: HubServer, tmp_path: Path):
    api = publish(hub)
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in ("weights.bin", "more.bin"):
        (folder / name).write_bytes(DATA + name.encode())
    hub.faults.append(Fault("drop", "PUT /storage", nth=2, after=50_000))
    api.upload_folder(repo_id="you/model", folder_path=folder)
    assert sorted(request.status for request in hub.requests("PUT /storage")) == [0, 200, 200]
    hub.log.clear()
    api.upload_folder(repo_id="you/model", folder_path=folder)
    assert not hub.requests("PUT /storage|/commit/")


def test_an_upload_with_a_wrong_hash_is_refused(hub: HubServer):
    api = publish(hub)
    hub.faults.append(Fault("corrupt", "PUT /storage"))
    before = hub.repository("you/model").at().id
    with pytest.raises(RuntimeError) as caught:
        api.upload_file(repo_id="you/model", path_or_fileobj=DATA + b"new", path_in_repo="weights.bin")
    assert "BadDigest" in str(caught.value.__cause__)
    assert hub.repository("you/model").at().id == before


def test_a_commit_whose_answer_is_lost_was_made(hub: HubServer):
    api = publish(hub)
    hub.faults.append(Fault("lost", "/commit/"))
    with pytest.raises(Exception, match="disconnected"):
        api.upload_file(repo_id="you/model", path_or_fileobj=b"[]", path_in_repo="config.json")
    assert hub.repository("you/model").read("config.json") == b"[]"


def test_everything_is_on_disk(hub: HubServer):
    api = publish(hub)
    api.create_tag("you/model", tag="v1")
    again = Hub(hub.hub.folder).repositories["you/model"]
    assert again == hub.repository("you/model")
    assert again.read("weights.bin", "v1") == DATA
    assert not [file for file in hub.hub.folder.rglob("*") if file.suffix in (".pickle", ".new")]
    json.loads((again.folder / "repository.json").read_text())


def test_parts_and_conditions_of_plain_http(hub: HubServer):
    publish(hub)

    def fetch(path: str, **headers: str) -> Any:
        try:
            return urllib.request.urlopen(urllib.request.Request(hub.endpoint + path, headers=headers), timeout=9)
        except urllib.error.HTTPError as error:
            return error

    with fetch("/you/model/resolve/main/config.json") as whole:
        assert whole.read() == b"{}"
    with fetch("/you/model/resolve/main/config.json", **{"If-None-Match": whole.headers["ETag"]}) as same:
        assert same.status == 304
    with fetch("/you/model/resolve/main/weights.bin", Range="bytes=99990-") as part:
        assert (part.status, part.read()) == (206, DATA[99_990:])
        assert part.headers["Content-Range"] == "bytes 99990-99999/100000"
    with fetch("/you/model/resolve/main/weights.bin", Range="bytes=100000-") as beyond:
        assert beyond.status == 416
    with fetch(f"/storage/models/you/model/{'0' * 64}") as unsigned:
        assert unsigned.status == 403
    with fetch(f"/storage/models/you/model/{'0' * 64}", Authorization="Bearer hf_you") as trusting:
        assert trusting.status == 400
    with fetch("/nothing/here") as nothing:
        assert nothing.status == 404


def test_data_sets_go_and_come_back(hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import datasets
    import datasets.config
    from PIL import Image

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog"])})
    images = [Image.new("RGB", (8, 8), (20 * number, 0, 0)) for number in range(4)]
    made = datasets.Dataset.from_dict({"image": images, "label": [0, 1, 0, 1]}, features=features)
    made.push_to_hub("you/data", private=True)
    assert hub.repository("datasets/you/data").private
    with pytest.raises(FileNotFoundError, match="you/data"):
        datasets.load_dataset("you/data", token="hf_stranger")
    cache = str(tmp_path / "datasets")
    loaded = datasets.load_dataset("you/data", split="train", cache_dir=cache)
    assert loaded["label"][:] == [0, 1, 0, 1]
    assert loaded[3]["image"].getpixel((0, 0)) == (60, 0, 0)
    stream = datasets.load_dataset("you/data", split="train", streaming=True)
    assert next(iter(stream))["label"] == 0
