"""Measure speed and memory against other libraries: python scripts/benchmark.py --sizes ti (see --help)."""

import os
import sys

# Before torch is imported: threads that wait in a busy loop stall everything on a machine that runs anything else.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from vit_hf.commands.benchmark import main

if __name__ == "__main__":
    sys.exit(main())
