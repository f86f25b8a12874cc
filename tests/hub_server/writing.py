"""Answers that change something. Files come in three steps: preupload says which are large, these are put into the
storage, and one commit names them all and brings the small ones along."""

import fnmatch
import io
import json
from base64 import b64decode
from pathlib import PurePosixPath
from typing import Any

from .answers import Answer, HubError
from .call import Call
from .repository import Commit, Entry, Repository


def create_or_delete(call: Call) -> Answer:
    asked, user = call.json(), call.user
    kind = asked.get("type", "model") + "s"
    namespace = asked.get("organization") or (user.name if user else "")
    name = f"{namespace}/{asked['name']}"
    path = name if kind == "models" else f"{kind}/{name}"
    if call.method == "DELETE":
        call.hub.delete(call.repository(path, write=True))
        return Answer()
    user = call.hub.writer(user, namespace)
    if kind == "spaces" and asked.get("sdk") not in ("gradio", "docker", "static"):
        raise HubError(400, "Invalid body: a Space needs an sdk")
    taken = call.hub.repositories.get(path)
    private = bool(asked.get("private")) or asked.get("visibility") == "private"
    repository = taken or call.hub.create(kind, name, user, private=private)
    answer = {"url": f"{call.endpoint}/{path}", "id": name, "private": repository.private}
    if taken:
        return Answer(answer | {"error": f"You already created this {kind[:-1]} repo: {name}"}, 409)
    return Answer(answer)


def change_ref(call: Call, repository: Repository, what: str, name: str) -> Answer:
    """A new branch has its name in the path and its start in the body; a new tag the other way round."""
    asked = call.json()
    if what == "tag":
        ref, start = f"refs/tags/{asked.get('tag', name)}", name
    else:
        ref, start = f"refs/heads/{name}", asked.get("startingPoint", "main")
    if call.method == "DELETE":
        if repository.refs.pop(ref, None) is None:
            raise HubError(404, f"No such reference: {ref}", "RevisionNotFound")
    elif ref in repository.refs:
        raise HubError(409, f"Reference already exists: {ref}")
    else:
        repository.refs[ref] = repository.at(start).id
    repository.save()
    return Answer()


def large_patterns(repository: Repository, commit: Commit) -> list[str]:
    if ".gitattributes" not in commit.files:
        return []
    lines = repository.read(".gitattributes", commit.id).decode().splitlines()
    return [line.split()[0] for line in lines if "filter=lfs" in line]


def preupload(call: Call, repository: Repository, revision: str) -> Answer:
    commit = repository.at(revision)
    patterns = large_patterns(repository, commit)
    rows = []
    for file in call.json()["files"]:
        path = file["path"]
        named = any(fnmatch.fnmatch(name, one) for one in patterns for name in (path, PurePosixPath(path).name))
        large = named or file["size"] >= call.hub.large or b"\0" in b64decode(file["sample"])
        row = {"path": path, "uploadMode": "lfs" if large else "regular", "shouldIgnore": False}
        rows.append(row | ({"oid": commit.files[path].etag} if path in commit.files else {}))
    return Answer({"files": rows, "commitOid": commit.id})


def large_files(call: Call, repository: Repository) -> Answer:
    """Where to put each large file; those that are there already need no action."""
    objects: list[dict[str, Any]] = call.json()["objects"]
    for one in objects:
        if not repository.object(one["oid"]).is_file():
            one["actions"] = {"upload": {"href": call.signed(repository, one["oid"])}}
    return Answer({"objects": objects})


def storage(call: Call, path: str, sha256: str) -> Answer:
    """Raises: HubError for a token: storage is another host, to which the clients must not send one."""
    if call.token:
        raise HubError(400, "Only one auth mechanism allowed")
    kind, _, name = path.partition("/")
    repository = call.hub.repositories.get(name if kind == "models" else path)
    if repository is None or call.query.get("signature") != call.signature(f"{path}/{sha256}"):
        raise HubError(403, "SignatureDoesNotMatch")
    if call.method == "PUT":
        repository.store(call.body, sha256)
        return Answer(headers={"ETag": f'"{sha256}"'})
    return Answer(repository.object(sha256), headers={"ETag": f'"{sha256}"'})


def commit(call: Call, repository: Repository, revision: str) -> Answer:
    """All the lines of the body, or nothing."""
    if (user := call.user) is None:
        raise HubError(401, "Invalid username or password.")
    operations = [json.loads(line) for line in call.body.read().splitlines()]
    header = operations[0]["value"]
    ref, parent = repository.ref(revision), repository.at(revision)
    expected = header.get("parentCommit") or ""
    answer: dict[str, Any] = {"success": True}
    if "create_pr" in call.query:
        number = 1 + sum(name.startswith("refs/pr/") for name in repository.refs)
        ref, parent = f"refs/pr/{number}", repository.at(expected or revision)
        answer["pullRequestUrl"] = f"{call.endpoint}/{repository.path}/discussions/{number}"
    elif ref is None or ref.startswith("refs/tags/"):
        raise HubError(400, f"{revision} is not a branch")
    elif not parent.id.startswith(expected):
        raise HubError(412, "A commit has happened since. Please refresh and try again.")
    files = dict(parent.files)
    for operation in operations[1:]:
        apply(repository, files, operation["key"], operation["value"])
    oid = repository.add(ref, parent.id, files, header["summary"], header.get("description", ""), user.name)
    return Answer(answer | {"commitOid": oid, "commitUrl": f"{call.endpoint}/{repository.path}/commit/{oid}"})


def apply(repository: Repository, files: dict[str, Entry], key: str, value: dict[str, Any]) -> None:
    """One operation of a commit."""
    path: str = value["path"]
    if {"", ".", "..", ".git"} & {*path.removesuffix("/").split("/")}:
        raise HubError(400, f"Invalid path: {path!r}")
    if key == "file":
        files[path] = repository.entry(repository.store(io.BytesIO(b64decode(value["content"]))), large=False)
    elif key == "lfsFile":
        if not repository.object(value["oid"]).is_file():
            raise HubError(400, f"The LFS object of {path} was not uploaded")
        files[path] = repository.entry(repository.object(value["oid"]), large=True)
    elif key in ("deletedFile", "deletedFolder"):
        start = path.removesuffix("/") + "/"
        gone = [name for name in files if name == path or (key == "deletedFolder" and name.startswith(start))]
        if not gone:
            raise HubError(404, f"A file with the name {path} doesn't exist", "EntryNotFound")
        for name in gone:
            del files[name]
    else:
        raise HubError(400, f"Unknown operation: {key}")
