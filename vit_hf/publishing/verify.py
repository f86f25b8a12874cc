"""The proof that a saved folder loads wherever it is meant to, and is the same model there."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from safetensors.torch import load_file
from torch import Tensor

from ..errors import UserError
from ..families import find_family
from ..files import read_json
from ..hub.repository import CONFIG

SCRIPT = Path(__file__).with_name("fresh_reload.py")
ROOT = Path(__file__).parents[2]
STOCK_BOUND = 1e-4  # of the twin that other code computes, relative to the largest number where that is over 1

# How a folder is loaded: with the package and none of the folder's code, without it, or by transformers alone.
Way = Literal["package", "stranger", "stock"]
WAYS: dict[Way, str] = {
    "package": "with vit_hf",
    "stranger": "without vit_hf",
    "stock": "with transformers alone",
}


def options_of(folder: Path, way: Way) -> list[str]:
    """What the process has to find, or must not: vit_hf, and the package of the model's family."""
    family = find_family(read_json(folder / CONFIG).get("model_type", ""))
    name, root = ("vit_hf", ROOT) if family is None else family.package
    if way == "package":
        return [f"--with={place}" for place in dict.fromkeys([str(ROOT), str(root)])]
    return [f"--without={name}", *(["--stock"] if way == "stock" else [])]


def reload_without_package(folder: Path, images: Sequence[Path]) -> list[dict[str, Any]]:
    """-> image, label and probability, as found by a fresh process in which vit_hf cannot be imported.

    Raises: RuntimeError with the last line of that process, where the folder does not load there.
    """
    words = [*options_of(folder, "stranger"), str(folder.resolve()), *(str(path.resolve()) for path in images)]
    return run_fresh(words, f"{folder} does not load in a fresh process without vit_hf")


def run_fresh(words: Sequence[str], complaint: str) -> Any:
    done = subprocess.run([sys.executable, "-I", str(SCRIPT), *words], capture_output=True, text=True, check=False)
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        raise RuntimeError(f"{complaint}: {last[0]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def answers(folder: Path, way: Way) -> dict[str, Tensor]:
    """What a fresh process makes of fixed pixels and pictures. Raises: RuntimeError where the folder does not load."""
    with tempfile.TemporaryDirectory() as place:
        file = str(Path(place) / "answers.safetensors")
        words = ["--logits", file, *options_of(folder, way), str(folder.resolve())]
        run_fresh(words, f"{folder} does not load {WAYS[way]}")
        return load_file(file)


def verify_both_ways(folder: Path) -> dict[str, Tensor]:
    """What the model says, with the package and without it alike.

    Raises: UserError unless both load, and say the same to the bit.
    """
    try:
        ours, theirs = answers(folder, "package"), answers(folder, "stranger")
    except RuntimeError as error:
        raise UserError(f"{error}. It is not published.") from error
    for name in sorted(ours.keys() | theirs.keys()):
        if name not in ours or name not in theirs or not ours[name].equal(theirs[name]):
            raise UserError(
                f"{folder} is another model with vit_hf and without it: their {name} differ. It is not published; save "
                "the model again with the installed version."
            )
    return ours


def verify_stock(folder: Path, expected: dict[str, Tensor]) -> float:
    """-> the largest difference between what the twin says to random pixels and what the model says.

    Raises: UserError above `STOCK_BOUND`, or where transformers alone does not load it.
    """
    try:
        found = answers(folder, "stock")
    except RuntimeError as error:
        raise UserError(f"{error}. It is not published.") from error
    name = "random_pixels_to_0"
    scale = max(1.0, float(expected[name].abs().max()))
    difference = float((found[name] - expected[name]).abs().max()) / scale
    if not difference <= STOCK_BOUND:
        raise UserError(
            f"The twin for transformers alone is another function: its logits differ by {difference:.1e}, over "
            f"{STOCK_BOUND:g}. It is not published."
        )
    return difference
