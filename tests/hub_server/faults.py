"""What may go wrong with a request, and what is remembered of each."""

import re
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["none", "status", "drop", "lost", "cut", "corrupt", "slow"]


@dataclass
class Request:
    """A line of the log.

    user: whose token came along; None where none did, "?" where nobody has such a token.
    status: 0 where no answer was sent.
    """

    method: str
    path: str
    user: str | None = None
    range: str | None = None
    status: int = 0
    received: int = 0
    sent: int = 0
    fault: Kind = "none"

    def __str__(self) -> str:
        """What patterns are searched in: PUT /storage/models/you/model/..., POST /api/repos/create by you."""
        return f"{self.method} {self.path}" + (f" by {self.user}" if self.user else "")


@dataclass
class Fault:
    """Befalls requests number `nth` to `nth + times - 1` of those that match, counted from when it was added.

    status: answers with it and `headers`, and does nothing.
    drop: hangs up after `after` bytes of the request's body, and does nothing.
    lost: does what was asked, and hangs up instead of answering.
    cut: hangs up after `after` bytes of the answer's body.
    corrupt: turns the first byte of an upload, or else of the answer.
    slow: waits `seconds`, then goes on as usual.
    reset: whoever hangs up does so with a RST instead of a FIN.
    """

    kind: Kind
    pattern: str = ""
    nth: int = 1
    times: int = 1
    status: int = 500
    headers: dict[str, str] = field(default_factory=dict)
    after: int = 0
    seconds: float = 0.0
    reset: bool = False
    seen: int = 0

    def befalls(self, request: Request) -> bool:
        """Counts the request if it matches."""
        if not re.search(self.pattern, str(request)):
            return False
        self.seen += 1
        return self.nth <= self.seen < self.nth + self.times


NO_FAULT = Fault("none")
