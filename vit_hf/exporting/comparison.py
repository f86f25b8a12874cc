"""What a written file says, in its own runtime and a fresh process, beside what PyTorch says."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from ..errors import UserError
from .graphs import HEAT

RUNTIME_SCRIPT = Path(__file__).with_name("runtimes.py")
FLOAT32_BOUND = 1e-3  # of a difference between two numbers
LOSS_BOUND = 0.005  # of a share of right answers, where weights lose bits


@dataclass(frozen=True)
class Measured:
    """A file beside PyTorch. seconds: a run of `items` together.

    random, real: the largest difference of a number, of random inputs and of real ones. agreement: of the most probable
    labels of so many real images. accuracy, of_torch: of these, where they have labels. heat: the largest difference of
    the heat map.
    """

    precision: str
    size: int
    seconds: float
    items: int
    random: float
    real: float | None = None
    agreement: float | None = None
    accuracy: float | None = None
    of_torch: float | None = None
    images: int = 0
    heat: float | None = None

    def complaint(self) -> str | None:
        """Why the file should not be used, or None."""
        differences = [value for value in (self.random, self.real, self.heat) if value is not None]
        if not np.isfinite(differences).all():
            return f"the {self.precision} file says what is no number"
        if self.precision == "float32" and max(differences) > FLOAT32_BOUND:
            return f"the float32 file differs from PyTorch by {max(differences):.1e}, over {FLOAT32_BOUND:g}"
        if self.accuracy is None or self.of_torch is None:
            return None
        lost = self.of_torch - self.accuracy
        if self.precision != "float32" and lost > LOSS_BOUND + 1e-9:
            return (
                f"the {self.precision} file names {self.accuracy:.2%} of {self.images:,} right, {100 * lost:.2f} "
                f"points less than PyTorch, and {100 * LOSS_BOUND:g} are allowed"
            )
        return None


def run_apart(folder: Path, file: str, inputs: Mapping[str, Tensor]) -> tuple[dict[str, list[Tensor]], float]:
    """-> by the names of the inputs what the file says to each, output by output; and the seconds that the first takes.

    Raises: UserError where it cannot be run.
    """
    with tempfile.TemporaryDirectory() as place:
        given, found = f"{place}/inputs.safetensors", f"{place}/outputs.safetensors"
        save_file({name: value.contiguous() for name, value in inputs.items()}, given)
        words = [sys.executable, "-I", str(RUNTIME_SCRIPT), str(folder), file, given, found]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            last = done.stderr.strip().splitlines()[-1:] or [f"it ended with {done.returncode}"]
            raise UserError(f"{file} does not run in a process of its own ({last[0]}). It is not kept.")
        said = load_file(found)
        seconds = json.loads(done.stdout.strip().splitlines()[-1])["seconds"]
    outputs: dict[str, list[Tensor]] = {name: [] for name in inputs}
    for key in sorted(said, key=lambda key: int(key.rpartition("/")[2])):
        outputs[key.rpartition("/")[0]].append(said[key])
    return outputs, seconds


@dataclass(frozen=True)
class ExportTrial:
    """What files are tried on. inputs: by a name that begins with random or real. expected: what PyTorch says to each,
    output by output, named in outputs. classes: whether the answer is the most probable label. labels: of the real
    ones one after another, or None."""

    inputs: Mapping[str, Tensor]
    expected: Mapping[str, Sequence[Tensor]]
    outputs: Sequence[str]
    classes: bool
    labels: Tensor | None = None

    def measure(self, folder: Path, file: str, precision: str, size: int) -> Measured:
        found, seconds = run_apart(folder, file, self.inputs)
        random, real = (
            max((largest_gap(found[name][0], self.expected[name][0]) for name in self.named(kind)), default=None)
            for kind in ("random", "real")
        )
        measured = Measured(precision, size, seconds, self.items, random or 0.0, real)
        if HEAT in self.outputs:
            place = self.outputs.index(HEAT)
            heat = max(largest_gap(found[name][place], self.expected[name][place]) for name in self.inputs)
            measured = replace(measured, heat=heat)
        names = self.named("real")
        if not names or not self.classes:
            return measured
        said, ours = (
            torch.cat([torch.atleast_2d(answers[name][0]) for name in names]).argmax(-1)
            for answers in (found, self.expected)
        )
        measured = replace(measured, agreement=share(said == ours), images=len(said))
        if self.labels is None:
            return measured
        return replace(measured, accuracy=share(said == self.labels), of_torch=share(ours == self.labels))

    @property
    def items(self) -> int:
        """How many the first input holds; a picture is one."""
        first = next(iter(self.inputs.values()))
        return 1 if first.ndim == 3 else len(first)

    def named(self, kind: str) -> list[str]:
        return [name for name in self.inputs if name.startswith(kind)]


def largest_gap(found: Tensor, expected: Tensor) -> float:
    """The largest; NaN where one of them is none."""
    return float((found.double() - expected.double()).abs().max())


def share(right: Tensor) -> float:
    return float(right.double().mean())
