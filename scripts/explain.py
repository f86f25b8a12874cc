"""Show why: python scripts/explain.py outputs/digits image.png (see --help)."""

import sys

from vit_hf.commands.explain import main

if __name__ == "__main__":
    sys.exit(main())
