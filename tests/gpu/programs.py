"""Other processes that use the same card."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parents[1]
ENOUGH = 150  # seconds


@contextmanager
def started(
    program: str, orders: Sequence[dict[str, Any]], environments: Sequence[dict[str, str]] = ()
) -> Iterator[list[subprocess.Popen]]:
    """A program of this folder beside itself, each told in JSON what to do; none outlives the block."""
    path = os.pathsep.join([str(TESTS.parent), str(TESTS), os.environ.get("PYTHONPATH", "")])
    processes = [
        subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name(program)), json.dumps(order)],
            env={**os.environ, "PYTHONPATH": path, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for order, environment in zip(orders, environments or [{}] * len(orders), strict=True)
    ]
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def assert_all_end(processes: Sequence[subprocess.Popen], code: int = 0) -> None:
    """With this exit code, or a failure that shows the end of what one said."""
    for process in processes:
        said, _ = process.communicate(timeout=ENOUGH)
        assert process.returncode == code, f"ended with {process.returncode}, not {code}:\n{said[-4000:]}"
