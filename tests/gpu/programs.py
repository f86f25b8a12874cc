"""Other processes that use the same card."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parents[1]
ENOUGH = 150  # seconds


def start(program: str, order: dict[str, Any], **environment: str) -> subprocess.Popen:
    """A program of this folder, that is told what to do in JSON."""
    path = os.pathsep.join([str(TESTS.parent), str(TESTS), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name(program)), json.dumps(order)],
        env={**os.environ, "PYTHONPATH": path, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def assert_ends(process: subprocess.Popen, code: int = 0) -> None:
    """With this exit code, or a failure that shows the end of what it said."""
    try:
        said, _ = process.communicate(timeout=ENOUGH)
    finally:
        process.kill()
    assert process.returncode == code, f"ended with {process.returncode}, not {code}:\n{said[-4000:]}"
