"""Measure speed and memory against other libraries: python scripts/benchmark.py --sizes ti (see --help)."""

import sys

from vit_hf.commands.benchmark import main

if __name__ == "__main__":
    sys.exit(main())
