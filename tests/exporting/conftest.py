import logging

import pytest


@pytest.fixture
def quiet_exporter(monkeypatch):
    """pytest listens to torch's trace of its own work, and what is then written takes many times as long as that."""
    monkeypatch.setattr(logging.getLogger("torch.__trace"), "handlers", [])
