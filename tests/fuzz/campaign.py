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
from pathlib import Path
from time import perf_counter

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
os.environ |= {"HF_HUB_OFFLINE": "1", "MPLBACKEND": "Agg"}
FULL = {"configs": 2000, "files": 1000, "recipes": 1000, "kills": 200}


def run(kind: str, seeds: range) -> int:
    """-> how many faults there were"""
    from fuzz.cases import make_sources, run_cases
    from fuzz.judging import peak
    from fuzz.kills import run_kills

    began, outcomes = perf_counter(), Counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if kind == "kills":
            verdicts = run_kills(seeds, folder)
        else:
            verdicts = run_cases(kind, seeds, make_sources(folder / "sources"), folder / "scratch")
        for verdict in verdicts:
            outcomes["faults" if verdict.fault else "sentences" if verdict.said else "taken"] += 1
            if verdict.fault:
                print(verdict, flush=True)
    counts = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items())
    costs = f"{perf_counter() - began:.0f} s, {peak() / 1e9:.1f} GB"
    print(f"{kind}, seeds {seeds.start} to {seeds.stop - 1}: {counts}; {costs}")
    return outcomes["faults"]


def main() -> int:
    parse = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parse.add_argument("kind", choices=[*FULL, "all"])
    parse.add_argument("--count", type=int, help="of cases (as many as the whole campaign has, where not said)")
    parse.add_argument("--seed", type=int, default=0, help="of the first; each has the next")
    given = parse.parse_args()
    logging.disable()
    warnings.simplefilter("ignore")
    kinds = FULL if given.kind == "all" else [given.kind]
    return int(sum(run(kind, range(given.seed, given.seed + (given.count or FULL[kind]))) for kind in kinds) > 0)


if __name__ == "__main__":
    sys.exit(main())
