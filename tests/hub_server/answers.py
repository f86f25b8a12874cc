"""What a request is answered with."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Answer:
    """content: a Path is sent as a file, bytes as they are, anything else as JSON."""

    content: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def is_file(self) -> bool:
        return isinstance(self.content, Path)


class HubError(Exception):
    """An answer that says why not. By `code` the clients choose the exception that they raise."""

    def __init__(self, status: int, message: str, code: str | None = None, commit: str | None = None):
        super().__init__(message)
        headers = {"X-Error-Message": message, "X-Error-Code": code, "X-Repo-Commit": commit}
        self.answer = Answer(
            {"error": message}, status, {name: value for name, value in headers.items() if value is not None}
        )
