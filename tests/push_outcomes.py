"""What became of pushes to a Hub that fails, or that others push to, held against what was said of it."""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hub_server.faults import Fault
from hub_server.hub import User
from hub_server.repository import Entry
from hub_server.server import HubServer

from vit_hf.hub.attempts import UNCHANGED
from vit_hf.hub.push import push

# Of one request.
FAULTS = {
    "an error of the server": Fault("status", status=500),
    "too many requests": Fault("status", status=429, headers={"Retry-After": "0"}),
    "no answer": Fault("drop"),
    "a reset connection": Fault("drop", reset=True),
    "a connection that breaks in the middle of an upload": Fault("drop", after=64),
    "a lost answer": Fault("lost"),
    "half an answer": Fault("cut", after=1),
    "a wrong byte": Fault("corrupt"),
    "a slow answer": Fault("slow", seconds=0.05),
}
# Of many in a row.
KINDS = {
    "errors": Fault("status", status=503),
    "no answers": Fault("drop"),
    "lost answers": Fault("lost"),
    "reset connections": Fault("drop", reset=True),
}
LENGTHS = (2, 6, 11, 30, 10**6)  # requests: an outage of one retried call, of some, and for good
# What the Hub has of a repository: nothing, an empty one; and the same where a branch or a pull request is asked for.
BEFORE = ("nothing", "empty", "branch", "request")


@dataclass
class Outage:
    owner: str
    before: str
    fault: Fault

    @property
    def id(self) -> str:
        return f"{self.owner}/model"

    def __str__(self) -> str:
        return f"{self.before}, {self.fault.kind} for {self.fault.times} requests from number {self.fault.nth} on"


def without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clients' own retries too."""
    sleep = time.sleep
    monkeypatch.setattr(time, "sleep", lambda seconds: sleep(min(seconds, 0.001)))
    monkeypatch.setattr("vit_hf.hub.attempts.sleep", lambda seconds: None)


def state_of(hub: HubServer, case: Outage) -> Any:
    """Where each branch points; None where there is no repository."""
    repository = hub.hub.repositories.get(case.id)
    return dict(repository.refs) if repository else None


def untruth(case: Outage, hub: HubServer, folder: Path, expected: dict[str, Entry]) -> str | None:
    """What was said of the repository and is not so."""
    token = f"hf_{case.owner}"
    hub.hub.users[token] = User(case.owner)
    if case.before != "nothing":
        hub.hub.create("models", case.id, User(case.owner), private=False)
    options = {"branch": {"branch": "trial"}, "request": {"create_pr": True}}.get(case.before, {})
    where = {"branch": "refs/heads/trial", "request": "refs/pr/1"}.get(case.before, "refs/heads/main")
    before = state_of(hub, case)
    hub.faults.append(replace(case.fault, pattern=rf"\b{case.owner}\b"))
    try:
        push(folder, case.id, token=token, **options)  # pyright: ignore[reportArgumentType]
    except ValueError as error:
        said = str(error)
    except Exception as error:  # noqa: BLE001 - any other kind is wrong
        return f"{error!r}"
    else:
        said = "is made"
    now, repository = state_of(hub, case), hub.hub.repositories.get(case.id)
    there = repository is not None and where in repository.refs
    committed = there and repository is not None and repository.at(where).files == expected
    if UNCHANGED in said and now != before:
        return f"{said!r}, and yet it was {before} and is {now}"
    if "is made" in said and not committed:
        return f"{said!r}, and it is not"
    if committed and not ("is made" in said or "is not known" in said):
        return f"{said!r}, and the commit is made"
    if now != before and not committed and "may be left" not in said:
        return f"{said!r}, and something is left: {now}"
    if "is made" not in said and not any(word in said for word in (UNCHANGED, "is not known", "may be left")):
        return f"{said!r} says nothing of the repository"
    return None
