"""Answers that change nothing."""

import json
from dataclasses import asdict
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import parse_qs

from .answers import Answer, HubError
from .call import Call, front_matter
from .repository import Commit, Repository, git_hash


def whoami(call: Call) -> Answer:
    if (user := call.user) is None:
        raise HubError(401, "Invalid username or password.")
    organizations = [{"name": name, "type": "org"} for name in user.organizations]
    token = {"accessToken": {"displayName": "tests", "role": user.role}}
    return Answer({"type": "user", "name": user.name, "orgs": organizations, "auth": token})


def listing(call: Call, kind: str) -> Answer:
    """The repositories that the caller may see, of one author or with a word in their name."""
    author, word = call.query.get("author"), call.query.get("search", "")
    seen = [one for one in call.hub.repositories.values() if one.kind == kind and call.hub.reads(call.user, one)]
    return Answer([describe(one, one.at()) for one in seen if author in (None, one.owner) and word in one.id])


def above(path: str) -> list[str]:
    """A path and the folders that it lies in."""
    return [path, *(str(folder) for folder in PurePosixPath(path).parents if folder.name)]


def row(commit: Commit, path: str, *, expand: bool = False) -> dict[str, Any]:
    """What a listing says of a file or folder."""
    last = {"lastCommit": {"id": commit.id, "title": commit.title, "date": commit.date}} if expand else {}
    if (entry := commit.files.get(path)) is None:
        return last | {"type": "directory", "path": path, "oid": git_hash("tree", path.encode()), "size": 0}
    large = {"lfs": {"oid": entry.sha256, "sha256": entry.sha256, "size": entry.size, "pointerSize": 130}}
    return last | {"type": "file", "path": path, "oid": entry.oid, "size": entry.size} | (large if entry.large else {})


def describe(repository: Repository, commit: Commit) -> dict[str, Any]:
    """The page of a repository, as far as clients read it."""
    files = {
        path: repository.read(path, commit.id).decode() for path in ("README.md", "config.json") if path in commit.files
    }
    card = front_matter(files.get("README.md", ""))
    siblings = [row(commit, path) | {"rfilename": path, "blobId": entry.oid} for path, entry in commit.files.items()]
    return {
        "id": repository.id,
        "author": repository.owner,
        "sha": commit.id,
        "lastModified": commit.date,
        "private": repository.private,
        "gated": "auto" if repository.gated else False,
        "disabled": False,
        "downloads": 0,
        "likes": 0,
        "tags": card.get("tags") or [],
        "cardData": card,
        "library_name": card.get("library_name"),
        "pipeline_tag": card.get("pipeline_tag"),
        "config": json.loads(files.get("config.json", "{}")),
        "siblings": siblings,
    }


def tree(call: Call, repository: Repository, revision: str, folder: str) -> Answer:
    commit, prefix = repository.at(revision), f"{folder}/" if folder else ""
    files = [path for path in commit.files if path.startswith(prefix)]
    if prefix and not files:
        raise HubError(404, f"{folder} does not exist", "EntryNotFound", commit.id)
    below = {path for file in files for path in above(file) if path.startswith(prefix)}
    if call.query.get("recursive", "").lower() != "true":
        below = {path for path in below if "/" not in path.removeprefix(prefix)}
    expand = call.query.get("expand", "").lower() == "true"
    return Answer([row(commit, path, expand=expand) for path in sorted(below)])


def paths_info(call: Call, repository: Repository, revision: str) -> Answer:
    commit, asked = repository.at(revision), parse_qs(call.body.read().decode())
    found = {path for file in commit.files for path in above(file)} & {*asked["paths"]}
    expand = asked.get("expand", [""])[0].lower() == "true"
    return Answer([row(commit, path, expand=expand) for path in sorted(found)])


def commits(repository: Repository, revision: str) -> Answer:
    return Answer([asdict(one) | {"authors": [{"user": one.author}]} for one in repository.history(revision)])


def refs(repository: Repository) -> Answer:
    groups = {"branches": "refs/heads/", "tags": "refs/tags/", "pullRequests": "refs/pr/", "converts": "refs/convert/"}
    rows = [{"name": ref.split("/", 2)[2], "ref": ref, "targetCommit": oid} for ref, oid in repository.refs.items()]
    return Answer({group: [one for one in rows if one["ref"].startswith(start)] for group, start in groups.items()})


def resolve(call: Call, repository: Repository, revision: str, path: str) -> Answer:
    """A small file itself; of a large one, where it lies."""
    commit = repository.at(revision)
    if repository.gated and not (call.user and call.user.belongs_to(repository.owner)):
        raise HubError(403 if call.user else 401, "Access to this repository is restricted", "GatedRepo", commit.id)
    if (entry := commit.files.get(path)) is None:
        raise HubError(404, "Entry not found", "EntryNotFound", commit.id)
    headers = {"X-Repo-Commit": commit.id}
    if not entry.large:
        return Answer(repository.object(entry.sha256), headers=headers | {"ETag": f'"{entry.etag}"'})
    headers |= {"X-Linked-Etag": f'"{entry.etag}"', "X-Linked-Size": str(entry.size)}
    return Answer(b"", 302, headers | {"Location": call.signed(repository, entry.sha256)})
