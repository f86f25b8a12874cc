"""A request as the Hub's answers see it."""

import hashlib
import json
import re
from dataclasses import dataclass
from typing import IO, Any
from urllib.parse import parse_qs, unquote, urlsplit

import yaml

from .answers import HubError
from .hub import Hub, User
from .repository import Repository


@dataclass
class Call:
    """storage: where large files lie, under another name than the Hub's."""

    hub: Hub
    endpoint: str
    storage: str
    method: str
    target: str
    token: str | None
    body: IO[bytes]

    @property
    def user(self) -> User | None:
        return self.hub.user(self.token)

    @property
    def words(self) -> list[str]:
        """The method and the parts of the path. A slash within a revision comes quoted, and stays one word."""
        return [self.method, *map(unquote, urlsplit(self.target).path.strip("/").split("/"))]

    @property
    def query(self) -> dict[str, str]:
        return {name: values[-1] for name, values in parse_qs(urlsplit(self.target).query).items()}

    def json(self) -> Any:
        return json.loads(self.body.read() or b"{}")

    def repository(self, path: str, *, write: bool = False) -> Repository:
        return self.hub.repository(path, self.user, write=write)

    def signed(self, repository: Repository, sha256: str) -> str:
        """The address of a large file, which whoever knows it may use."""
        path = f"{repository.kind}/{repository.id}/{sha256}"
        return f"{self.storage}/{path}?signature={self.signature(path)}"

    def signature(self, path: str) -> str:
        return hashlib.sha256(f"{self.hub.key}{path}".encode()).hexdigest()


def front_matter(text: str) -> dict[str, Any]:
    """What a card says between its first two lines of dashes. Raises: HubError where that is no YAML."""
    match = re.match(r"---\r?\n(.*?)\r?\n---", text, re.DOTALL)
    try:
        found = yaml.safe_load(match[1]) if match else None
    except yaml.YAMLError as error:
        raise HubError(400, f"Invalid metadata: {error}") from error
    return json.loads(json.dumps(found, default=str)) or {}
