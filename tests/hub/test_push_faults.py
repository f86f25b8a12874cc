"""Every fault at every request of a push: all is there, or nothing has changed and the error says what to do.

Each case has an owner of its own, by whose name the server tells its requests apart, so that the cases can wait for
their retries side by side.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hub_server.faults import Fault
from hub_server.hub import User
from hub_server.repository import Entry
from hub_server.server import HubServer
from push_outcomes import FAULTS

from vit_hf.hub.push import push

# What an error may tell people to do.
WAYS_OUT = ("again", "log in", "wait", "check", "run")


@dataclass
class Case:
    """One fault at one request, or none. is_new: whether there is no such repository before."""

    owner: str
    name: str
    is_new: bool
    fault: Fault | None = None

    @property
    def id(self) -> str:
        return f"{self.owner}/model"

    @property
    def token(self) -> str:
        return f"hf_{self.owner}"

    @property
    def pattern(self) -> str:
        return rf"\b{self.owner}\b"


def run(case: Case, hub: HubServer, folder: Path, expected: dict[str, Entry] | None = None) -> str:
    """-> what is wrong with how it ended, if anything"""
    hub.hub.users[case.token] = User(case.owner)
    if not case.is_new:
        hub.hub.create("models", case.id, User(case.owner), private=False)
    before = state(hub, case)
    if case.fault:
        hub.faults.append(case.fault)
    error = caught(push, folder, case.id, token=case.token)
    if case.fault and case.fault.seen < case.fault.nth:
        return f"{case.name}: never happened"
    if error is None:
        return f"{case.name}: not all is there" * (not holds(hub, case, expected))
    if state(hub, case) != before:
        return f"{case.name}: {error!r}, and yet the remote changed"
    if not isinstance(error, ValueError) or not any(way in str(error) for way in WAYS_OUT):
        return f"{case.name}: {error!r} does not say what to do"
    again = caught(push, folder, case.id, token=case.token)
    return f"{case.name}: and again {again!r}" * (again is not None or not holds(hub, case, expected))


def caught(call: Callable, *arguments, **options) -> Exception | None:
    try:
        call(*arguments, **options)
    except Exception as error:  # noqa: BLE001 - any kind is judged afterwards
        return error
    return None


def state(hub: HubServer, case: Case) -> dict[str, str] | None:
    """Where each branch and tag points; None where there is no repository."""
    repository = hub.hub.repositories.get(case.id)
    return dict(repository.refs) if repository else None


def holds(hub: HubServer, case: Case, expected: dict[str, Entry] | None) -> bool:
    """The expected files, in one commit after the first."""
    repository = hub.repository(case.id)
    return expected in (None, repository.at().files) and len([*repository.history()]) == 2


@pytest.mark.parametrize("is_new", [False, True])
def test_each_fault_at_each_request(hub: HubServer, saved: Path, is_new: bool):
    plain = Case("plain", "no fault", is_new)
    assert run(plain, hub, saved) == ""
    expected = hub.repository(plain.id).at().files
    assert hub.repository(plain.id).read("model.safetensors") == (saved / "model.safetensors").read_bytes()
    clean = [str(request) for request in hub.requests(plain.pattern)]
    assert any("PUT /storage" in line for line in clean)
    assert any("/commit/" in line for line in clean)
    cases = []
    for number, line in enumerate(clean, start=1):
        for name, fault in FAULTS.items():
            if fault.kind == "corrupt" and line.startswith("POST"):
                continue  # JSON that is none is refused like any other mistake
            case = Case(f"owner{len(cases)}", f"{name} at request {number} ({line})", is_new)
            case.fault = replace(fault, pattern=case.pattern, nth=number)
            cases.append(case)
    with ThreadPoolExecutor(16) as pool:
        wrong = [said for said in pool.map(lambda case: run(case, hub, saved, expected), cases) if said]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("token", "says"),
    [("hf_reader", "may only read"), ("hf_stranger", "may not"), ("hf_nobody", "does not know your token")],
)
def test_who_may_not_push_is_told_so(hub: HubServer, saved: Path, token: str, says: str):
    with pytest.raises(ValueError, match=says):
        push(saved, "you/model", token=token)
    assert not hub.hub.repositories
