"""A model to try: python scripts/demo.py outputs/digits (see --help)."""

import sys

from vit_hf.commands.demo import main

if __name__ == "__main__":
    sys.exit(main())
