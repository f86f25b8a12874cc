"""A Hub that goes down in the middle of a push, for a while or for good: all that is said of the repository is true."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hub_server.faults import Fault
from hub_server.hub import User
from hub_server.repository import Entry
from hub_server.server import HubServer

from vit_hf.hub.attempts import UNCHANGED
from vit_hf.hub.push import push

KINDS = {
    "errors": Fault("status", status=503),
    "no answers": Fault("drop"),
    "lost answers": Fault("lost"),
    "reset connections": Fault("drop", reset=True),
}
LENGTHS = (2, 6, 11, 30, 10**6)  # requests: an outage of one retried call, of some, and for good
CASES = 120
# What the Hub has of a repository: nothing, an empty one; and the same where a branch or a pull request is asked for.
BEFORE = ("nothing", "empty", "branch", "request")


@dataclass
class Case:
    owner: str
    before: str
    fault: Fault

    @property
    def id(self) -> str:
        return f"{self.owner}/model"

    def __str__(self) -> str:
        return f"{self.before}, {self.fault.kind} for {self.fault.times} requests from number {self.fault.nth} on"


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch):
    """The clients' own retries too."""
    sleep = time.sleep
    monkeypatch.setattr(time, "sleep", lambda seconds: sleep(min(seconds, 0.001)))
    monkeypatch.setattr("vit_hf.hub.attempts.sleep", lambda seconds: None)


def state(hub: HubServer, case: Case) -> Any:
    """Where each branch points; None where there is no repository."""
    repository = hub.hub.repositories.get(case.id)
    return dict(repository.refs) if repository else None


def untruth(case: Case, hub: HubServer, folder: Path, expected: dict[str, Entry]) -> str | None:
    """What was said of the repository and is not so."""
    token = f"hf_{case.owner}"
    hub.hub.users[token] = User(case.owner)
    if case.before != "nothing":
        hub.hub.create("models", case.id, User(case.owner), private=False)
    options = {"branch": {"branch": "trial"}, "request": {"create_pr": True}}.get(case.before, {})
    where = {"branch": "refs/heads/trial", "request": "refs/pr/1"}.get(case.before, "refs/heads/main")
    before = state(hub, case)
    hub.faults.append(replace(case.fault, pattern=rf"\b{case.owner}\b"))
    try:
        push(folder, case.id, token=token, **options)  # pyright: ignore[reportArgumentType]
    except ValueError as error:
        said = str(error)
    except Exception as error:  # noqa: BLE001 - any other kind is wrong
        return f"{error!r}"
    else:
        said = "is made"
    now, repository = state(hub, case), hub.hub.repositories.get(case.id)
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


def test_every_sentence_about_the_repository_is_true(hub: HubServer, saved: Path):
    plain = Case("plain", "nothing", Fault("slow", nth=10**9))
    assert untruth(plain, hub, saved, {}) is not None  # for nothing is not what is expected
    expected = hub.repository(plain.id).at().files
    requests = len(hub.requests(r"\bplain\b"))
    random, cases = Random(0), []
    for number in range(CASES):
        fault = replace(random.choice([*KINDS.values()]), nth=random.randint(2, requests), times=random.choice(LENGTHS))
        cases.append(Case(f"owner{number}", random.choice(BEFORE), fault))
    with ThreadPoolExecutor(8) as pool:
        found = pool.map(lambda case: (case, untruth(case, hub, saved, expected)), cases)
        wrong = [f"{case}: {said}" for case, said in found if said]
    assert not wrong, "\n".join(wrong)
