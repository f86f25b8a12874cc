"""The proof that a saved folder needs nothing but transformers."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).with_name("fresh_reload.py")


def reload_without_package(folder: Path, images: Sequence[Path]) -> list[dict[str, Any]]:
    """-> image, label and probability, as found by a fresh process in which vit_hf cannot be imported.

    Raises: RuntimeError with the last line of that process, where the folder does not load there.
    """
    command = [sys.executable, "-I", str(SCRIPT), str(folder.resolve()), *(str(path.resolve()) for path in images)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        raise RuntimeError(f"{folder} does not load in a fresh process without vit_hf: {last[0]}")
    return json.loads(done.stdout.strip().splitlines()[-1])
