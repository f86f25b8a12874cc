"""Measure a model on labelled images: python scripts/evaluate.py outputs/digits --data digits (see --help)."""

import os
import sys

# Before torch is imported: threads that wait in a busy loop stall everything on a machine that runs anything else.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from vit_hf.commands.evaluate import main

if __name__ == "__main__":
    sys.exit(main())
