"""The Hub itself: who there is, which repositories, and who may do what with them."""

import io
import re
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from .answers import HubError
from .repository import Repository

KINDS = ("models", "datasets", "spaces")
BINARY = "7z arrow bin bz2 ckpt gz h5 joblib msgpack npy npz onnx parquet pickle pkl pt pth safetensors tar xz zip"
ATTRIBUTES = "".join(f"*.{suffix} filter=lfs diff=lfs merge=lfs -text\n" for suffix in BINARY.split())


@dataclass(frozen=True)
class User:
    """role: what the token allows, whatever its owner may do."""

    name: str
    role: Literal["read", "write"] = "write"
    organizations: tuple[str, ...] = ()

    def belongs_to(self, namespace: str) -> bool:
        return namespace == self.name or namespace in self.organizations


class Hub:
    """Everything under one folder, from which it can be opened again.

    users: by their tokens. large: bytes from which a file is large, whatever its name.
    """

    def __init__(self, folder: Path, *, large: int = 10_000_000):
        self.folder, self.large = folder, large
        self.key = secrets.token_hex(16)
        self.users: dict[str, User] = {}
        opened = (Repository.open(file.parent) for file in folder.glob("*/*/*/repository.json"))
        self.repositories = {repository.path: repository for repository in opened}

    def user(self, token: str | None) -> User | None:
        if token and token not in self.users:
            raise HubError(401, "Invalid credentials in Authorization header")
        return self.users.get(token or "")

    def writer(self, user: User | None, namespace: str) -> User:
        if user is None:
            raise HubError(401, "Invalid username or password.")
        if user.role != "write" or not user.belongs_to(namespace):
            raise HubError(403, f"You don't have the rights to write under the namespace {namespace!r}")
        return user

    def reads(self, user: User | None, repository: Repository) -> bool:
        return not repository.private or (user is not None and user.belongs_to(repository.owner))

    def repository(self, path: str, user: User | None, *, write: bool = False) -> Repository:
        """Raises: HubError, which does not tell a private repository from none."""
        found = self.repositories.get(path)
        if found is None or not self.reads(user, found):
            status, text = (404, "Repository not found") if user else (401, "Invalid username or password.")
            raise HubError(status, text, "RepoNotFound")
        if write:
            self.writer(user, found.owner)
        return found

    def create(self, kind: str, name: str, user: User, *, private: bool) -> Repository:
        if kind not in KINDS or not re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", name):
            raise HubError(400, f"Invalid repo name or type: {name}")
        repository = Repository(self.folder / kind / name, kind, name, private)
        (repository.folder / "objects").mkdir(parents=True)
        attributes = repository.store(io.BytesIO(ATTRIBUTES.encode()))
        files = {".gitattributes": repository.entry(attributes, large=False)}
        repository.add("refs/heads/main", None, files, "initial commit", "", user.name)
        self.repositories[repository.path] = repository
        return repository

    def delete(self, repository: Repository) -> None:
        del self.repositories[repository.path]
        shutil.rmtree(repository.folder)
