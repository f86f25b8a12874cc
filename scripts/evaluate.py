"""Measure a model on labeled images: python scripts/evaluate.py outputs/digits --data digits (see --help)."""

import sys

from vit_hf.commands.evaluate import main

if __name__ == "__main__":
    sys.exit(main())
