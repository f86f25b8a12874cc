"""A Hub that goes down in the middle of a push, for a while or for good: all that is said of the repository is true."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from hub_server.faults import Fault
from hub_server.server import HubServer
from push_outcomes import BEFORE, KINDS, LENGTHS, Outage, untruth, without_waiting

CASES = 120


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch):
    without_waiting(monkeypatch)


def test_every_sentence_about_the_repository_is_true(hub: HubServer, saved: Path):
    plain = Outage("plain", "nothing", Fault("slow", nth=10**9))
    assert untruth(plain, hub, saved, {}) is not None  # for nothing is not what is expected
    expected = hub.repository(plain.id).at().files
    requests = len(hub.requests(r"\bplain\b"))
    random, cases = Random(0), []
    for number in range(CASES):
        fault = replace(random.choice([*KINDS.values()]), nth=random.randint(2, requests), times=random.choice(LENGTHS))
        cases.append(Outage(f"owner{number}", random.choice(BEFORE), fault))
    with ThreadPoolExecutor(8) as pool:
        found = pool.map(lambda case: (case, untruth(case, hub, saved, expected)), cases)
        wrong = [f"{case}: {said}" for case, said in found if said]
    assert not wrong, "\n".join(wrong)
