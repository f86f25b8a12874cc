"""Answer over HTTP what is in images: python scripts/serve.py outputs/digits (see --help)."""

import sys

from vit_hf.commands.serve import main

if __name__ == "__main__":
    sys.exit(main())
