"""One repository on disk: repository.json with its history, and beside it each content under its SHA-256."""

import hashlib
import json
import re
import secrets
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from .answers import HubError


def git_hash(kind: str, content: bytes) -> str:
    return hashlib.sha1(f"{kind} {len(content)}\0".encode() + content).hexdigest()


@dataclass
class Entry:
    """A file of a commit. oid: git's hash of the content, or of the pointer that stands for a large file."""

    oid: str
    size: int
    sha256: str
    large: bool

    @property
    def etag(self) -> str:
        return self.sha256 if self.large else self.oid


@dataclass
class Commit:
    id: str
    parent: str | None
    title: str
    message: str
    author: str
    date: str
    files: dict[str, Entry]


@dataclass
class Repository:
    """kind: models, datasets or spaces. refs: refs/heads/main and the like -> the id of a commit."""

    folder: Path
    kind: str
    id: str
    private: bool = False
    gated: bool = False
    refs: dict[str, str] = field(default_factory=dict)
    commits: dict[str, Commit] = field(default_factory=dict)

    @classmethod
    def open(cls, folder: Path) -> "Repository":
        saved = json.loads((folder / "repository.json").read_text(encoding="utf-8"))
        for commit in saved["commits"].values():
            commit["files"] = {path: Entry(**entry) for path, entry in commit["files"].items()}
        commits = {oid: Commit(**commit) for oid, commit in saved.pop("commits").items()}
        return cls(folder, commits=commits, **saved)

    def save(self) -> None:
        content = {name: value for name, value in asdict(self).items() if name != "folder"}
        new = self.folder / "repository.json.new"
        new.write_text(json.dumps(content), encoding="utf-8")
        new.replace(self.folder / "repository.json")

    @property
    def owner(self) -> str:
        return self.id.split("/")[0]

    @property
    def path(self) -> str:
        """As it stands in addresses of pages: models have no prefix."""
        return self.id if self.kind == "models" else f"{self.kind}/{self.id}"

    def ref(self, revision: str) -> str | None:
        """The full name of a branch, a tag or a pull request."""
        names = (revision, f"refs/heads/{revision}", f"refs/tags/{revision}")
        return next((name for name in names if name in self.refs), None)

    def at(self, revision: str = "main") -> Commit:
        oid = self.refs.get(self.ref(revision) or "", revision)
        if oid not in self.commits:
            raise HubError(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return self.commits[oid]

    def history(self, revision: str = "main") -> Iterator[Commit]:
        commit = self.at(revision)
        while commit.parent:
            yield commit
            commit = self.commits[commit.parent]
        yield commit

    def add(self, ref: str, parent: str | None, files: dict[str, Entry], title: str, message: str, author: str) -> str:
        """A new commit, to which `ref` points from now on. -> its id"""
        date = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        commit = Commit("", parent, title, message, author, date, dict(sorted(files.items())))
        commit.id = git_hash("commit", json.dumps([asdict(commit), secrets.token_hex(4)]).encode())
        self.commits[commit.id], self.refs[ref] = commit, commit.id
        self.save()
        return commit.id

    def object(self, sha256: str) -> Path:
        """Where a content lies, or would."""
        if not re.fullmatch("[0-9a-f]{64}", sha256):
            raise HubError(400, f"Not a SHA-256: {sha256!r}")
        return self.folder / "objects" / sha256

    def store(self, source: IO[bytes], sha256: str | None = None) -> Path:
        """Keep a content, unless it is not the one that was announced."""
        digest = hashlib.sha256()
        with tempfile.NamedTemporaryFile(dir=self.folder / "objects", delete=False) as file:
            while chunk := source.read(1 << 20):
                digest.update(chunk)
                file.write(chunk)
        written, found = Path(file.name), digest.hexdigest()
        if sha256 not in (None, found):
            written.unlink()
            raise HubError(400, f"BadDigest: {sha256} was announced, and {found} received")
        return written.replace(self.object(found))

    def entry(self, content: Path, *, large: bool) -> Entry:
        size = content.stat().st_size
        pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{content.name}\nsize {size}\n"
        oid = git_hash("blob", pointer.encode() if large else content.read_bytes())
        return Entry(oid, size, content.name, large)

    def read(self, path: str, revision: str = "main") -> bytes:
        """The content of a file. Raises: KeyError."""
        return self.object(self.at(revision).files[path].sha256).read_bytes()
