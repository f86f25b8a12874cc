"""The whole campaign, or any part of it: `python tests/fuzz/campaign.py configs --count 2000 --seed 0`.

Prints each fault with its seed, by which it is repeated alone (`--count 1 --seed N`), and exits with 1 where there is
one.
"""

import argparse
import logging
import os
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from conftest import USERS, save_tiny  # noqa: E402 - first of all, for it sets the environment

if TYPE_CHECKING:
    from fuzz.judging import Verdict

FULL = {"configs": 2000, "files": 1000, "recipes": 1000, "kills": 200, "pushes": 200, "writers": 100}


def verdicts(kind: str, seeds: range, folder: Path) -> "Iterator[Verdict]":
    from fuzz.cases import make_sources, run_cases
    from fuzz.kills import run_kills
    from fuzz.pushes import run_pushes
    from fuzz.writers import run_writers
    from hub_server.port import RESERVED
    from hub_server.server import HubServer
    from huggingface_hub import constants

    if kind == "kills":
        yield from run_kills(seeds, folder)
    elif kind == "writers":
        yield from run_writers(seeds, folder)
    elif kind == "pushes":
        with HubServer(RESERVED) as hub:
            hub.begin(folder / "hub", USERS)
            constants.HF_HUB_OFFLINE = False
            yield from run_pushes(seeds, hub, save_tiny(folder / "model", seed=1), folder)
            constants.HF_HUB_OFFLINE = True
    else:
        yield from run_cases(kind, seeds, make_sources(folder / "sources"), folder / "scratch")


def run(kind: str, seeds: range, *, say_all: bool) -> int:
    """-> how many faults there were"""
    began, outcomes, longest, most = perf_counter(), Counter(), (0.0, 0), 0.0
    with tempfile.TemporaryDirectory() as name:
        os.environ["XDG_CACHE_HOME"] = f"{name}/cache"
        for verdict in verdicts(kind, seeds, Path(name).resolve()):
            outcomes["faults" if verdict.fault else "sentences" if verdict.said else "taken"] += 1
            longest, most = max(longest, (verdict.seconds, verdict.seed)), max(most, verdict.memory)
            if verdict.fault or say_all:
                print(verdict, flush=True)
    counts = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items())
    print(
        f"{kind}, seeds {seeds.start} to {seeds.stop - 1}: {counts}; {perf_counter() - began:.0f} s, the longest "
        f"{longest[0]:.1f} s (seed {longest[1]}); at most {most / 1e9:.2f} GB",
        flush=True,
    )
    return outcomes["faults"]


def main() -> int:
    parse = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parse.add_argument("kind", choices=[*FULL, "all"])
    parse.add_argument("--count", type=int, help="of cases (as many as the whole campaign has, where not said)")
    parse.add_argument("--seed", type=int, default=0, help="of the first; each has the next")
    parse.add_argument("--say-all", action="store_true", help="print what each case led to")
    given = parse.parse_args()
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    logging.disable()
    warnings.simplefilter("ignore")
    kinds = FULL if given.kind == "all" else [given.kind]
    faults = 0
    for kind in kinds:
        seeds = range(given.seed, given.seed + (given.count or FULL[kind]))
        faults += run(kind, seeds, say_all=given.say_all)
    return int(faults > 0)


if __name__ == "__main__":
    sys.exit(main())
