"""How fast images come, beside other libraries: vit-hf benchmark data (see --help)."""

import platform
import tempfile
from argparse import Namespace
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import torch

from ...runs.report import table
from ..cli import given_arguments, guarded, parser
from .contenders import Work, augmentation, tiny_and_folders, to_model
from .peers import installed_version, libraries_beside
from .report import ratio_words, write_record
from .timing import Ratio, interleave, speed_ratio, threads

EXAMPLES = """\
  {program} data
  {program} data --peers .venv/peers --rounds 40 --json outputs/data.json

On one thread. The photos are made on the spot; simplejpeg is used where it is installed.
"""
LIBRARIES_NAMED = ("datasets", "transformers", "torchvision", "pillow", "simplejpeg")


@dataclass(frozen=True)
class Figure:
    """How many times as fast as another ours was, and had to be."""

    work: str
    ours: str
    against: str
    ratio: Ratio
    goal: float


def measure_work(work: Work, rounds: int) -> tuple[dict[str, float], list[Figure]]:
    """-> images a second of each, and the figures that have a goal"""
    rounds = min(rounds, work.rounds or rounds)
    seconds = interleave(work.calls, rounds, warm_up=1 if work.rounds else 2)
    speeds = {name: work.images / median(own) for name, own in seconds.items()}
    figures = [
        Figure(work.name, ours, against, speed_ratio(seconds[ours], seconds[against]), goal)
        for (ours, against), goal in work.goals.items()
    ]
    return speeds, figures


def works(given: Namespace, root: Path) -> Iterator[Work]:
    yield to_model(375, 500, given.images, goal=2.3, goal_in_bytes=3.0)
    yield to_model(1500, 2000, max(1, given.images // 4), goal=4.0, goal_in_bytes=4.0)
    yield to_model(32, 32, 8 * given.images, goal_in_bytes=8.0, side=32)
    yield augmentation(given.images)
    yield from tiny_and_folders(root, given.files)


def benchmark_data(given: Namespace) -> int:
    record, all_figures = [], []
    with threads(1), libraries_beside(given.peers), tempfile.TemporaryDirectory() as folder:
        versions = {name: installed_version(name) for name in LIBRARIES_NAMED}
        print(", ".join(f"{name} {version or 'missing'}" for name, version in versions.items()))
        print(
            f"one thread, {given.rounds} rounds in which everyone takes a turn; ratios are medians, with quartiles.\n"
        )
        for work in works(given, Path(folder)):
            speeds, figures = measure_work(work, given.rounds)
            all_figures += figures
            record.append({"work": work.name, "images_per_second": speeds})
            print(
                f"{work.name}\n{table(['', 'images/s'], [[name, f'{speed:,.0f}'] for name, speed in speeds.items()])}"
            )
            for figure in figures:
                print(f"  {figure.ours} against {figure.against}: {ratio_words(figure.ratio)}; goal {figure.goal:g}")
            print(flush=True)
    whole = {
        "platform": platform.platform(),
        "versions": {"torch": torch.__version__, **versions},
        "rounds": given.rounds,
        "works": record,
        "figures": [asdict(figure) for figure in all_figures],
    }
    write_record(given.json, whole)
    return 0


def main(words: Sequence[str] | None = None) -> int:
    parse = parser("benchmark", "Measure how fast images come, against other libraries, all in turn.", EXAMPLES)
    parse.prog += " data"
    parse.add_argument("--rounds", type=int, default=15)
    parse.add_argument("--images", type=int, default=16, help="photos in a call")
    parse.add_argument("--files", type=int, default=10_000, help="images in the folder")
    parse.add_argument("--peers", type=Path, help="a folder of other libraries")
    parse.add_argument("--json", type=Path, help="a file for all that was measured")
    return guarded(benchmark_data, parse.parse_args(given_arguments(words)))
