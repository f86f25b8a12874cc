"""Convert a model from one library to another: python scripts/convert.py SOURCE DEST --to timm (see --help)."""

import sys

from vit_hf.commands.convert import main

if __name__ == "__main__":
    sys.exit(main())
