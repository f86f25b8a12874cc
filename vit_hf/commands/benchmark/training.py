"""What a Trainer costs beside a bare loop: vit-hf benchmark training (see --help)."""

import os
import subprocess
import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch

from ...runs.report import table
from ..cli import given_arguments, guarded, parser
from . import contended
from .loops import BARE, CLOCKS, Images, contenders, take_turns
from .peers import OURS, installed_version, libraries_beside
from .report import ratio_words, write_record
from .timing import Seconds, speed_ratio, threads
from .vit import BUILDERS, Numbers

EXAMPLES = """\
  {program} training --rounds 10
  {program} training --sizes tiny --peers .venv/peers --competing 5

small: 32 pixels, patches of 4, width 192, 12 layers; tiny: 8 pixels, patches of 2, width 64, 4 layers.
"""
MEASURED_SIZES = {
    "small": Numbers(width=192, layers=12, heads=3, inner=768, patch=4, side=32, labels=10),
    "tiny": Numbers(width=64, layers=4, heads=4, inner=256, patch=2, side=8, labels=10),
}
CHOSEN = ("OMP_WAIT_POLICY", "OMP_NUM_THREADS")
MEASURED_STEPS = {"small": 4, "tiny": 40}


def as_rows(seconds: Mapping[str, Seconds], images: int) -> list[dict[str, Any]]:
    """overhead: the time more than the bare loop's, as a share of it; ours_against_it: how many times as fast."""
    return [
        {
            "loop": name,
            "images_per_second": images / median(own),
            "overhead": 1 / speed_ratio(own, seconds[BARE]).median - 1,
            "ours_against_it": None if name == OURS else speed_ratio(seconds[OURS], own),
        }
        for name, own in seconds.items()
    ]


def comparison(rows: Sequence[Mapping[str, Any]]) -> str:
    return table(
        ["", "images/s", "over the bare loop", "vit_hf against it"],
        [
            [
                row["loop"],
                f"{row['images_per_second']:,.1f}",
                f"{row['overhead']:+.1%}",
                ratio_words(row["ours_against_it"]),
            ]
            for row in rows
        ],
    )


def beside_another(policy: str | None, seconds: float) -> float:
    """Images a second of a small model while one other process keeps a core busy.

    `policy` is OMP_WAIT_POLICY; with None torch's threads wait as torch has it. They are as many as torch chooses.
    """
    environment = {name: value for name, value in os.environ.items() if name not in CHOSEN}
    environment |= {"OMP_WAIT_POLICY": policy} if policy else {}
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as other:
        try:
            words = [sys.executable, contended.__file__, str(seconds)]
            done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
        finally:
            other.kill()
    return float(done.stdout)


def benchmark(given: Namespace) -> int:
    torch.manual_seed(0)
    record: dict[str, Any] = {"clock": given.clock, "rounds": given.rounds, "batch": given.batch}
    with libraries_beside(given.peers), threads(given.threads) as record["threads"]:
        versions = {name: installed_version(name) for name in BUILDERS}
        there = {name: version for name, version in versions.items() if version is not None}
        named = ", ".join(f"{name} {version}" for name, version in there.items())
        print(f"CPU, {record['threads']} threads, float32, {given.clock} time; torch {torch.__version__}; {named}\n")
        for size in given.sizes:
            images = Images.random(MEASURED_SIZES[size].side, given.batch, given.steps or MEASURED_STEPS[size])
            seconds = take_turns(contenders(MEASURED_SIZES[size], images, there, CLOCKS[given.clock]), given.rounds)
            timed = given.batch * (given.steps or MEASURED_STEPS[size])
            record[size] = as_rows(seconds, timed)
            print(f"{size}, batch {given.batch}, {given.rounds} rounds of {timed // given.batch} steps, data in memory")
            print(f"{comparison(record[size])}\n", flush=True)
    if given.competing is not None:
        passive, stock = beside_another("PASSIVE", given.competing), beside_another(None, given.competing)
        record["competing"] = {"passive": passive, "stock": stock}
        print(
            "with another process on the machine: "
            f"{passive:,.0f} images/s where threads wait passively (as in our scripts), {stock:,.0f} in stock torch: "
            f"{passive / stock:.1f} times as many"
        )
    write_record(given.json, record)
    return 0


def main(words: Sequence[str] | None = None) -> int:
    parse = parser("benchmark", "Measure what a Trainer costs beside a bare loop, on data in memory.", EXAMPLES)
    parse.prog += " training"
    parse.add_argument("--sizes", nargs="+", choices=list(MEASURED_SIZES), default=list(MEASURED_SIZES))
    parse.add_argument("--batch", type=int, default=128)
    parse.add_argument("--steps", type=int, help="timed in each turn; by default 4 for small, 40 for tiny")
    parse.add_argument("--rounds", type=int, default=10)
    parse.add_argument("--threads", type=int, help="of torch on the CPU")
    parse.add_argument("--clock", choices=list(CLOCKS), default="wall", help="cpu: the processor's time; one thread")
    parse.add_argument("--competing", type=float, metavar="SECONDS", help="also beside another process, each so long")
    parse.add_argument("--peers", type=Path, help="a folder of other libraries")
    parse.add_argument("--json", type=Path, help="a file for all that was measured")
    return guarded(benchmark, parse.parse_args(given_arguments(words)))
