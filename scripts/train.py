"""Train an image classifier: python scripts/train.py configuration/recipes/digits.yaml (see --help)."""

import sys

from vit_hf.commands.train import main

if __name__ == "__main__":
    sys.exit(main())
