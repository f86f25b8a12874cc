"""Name what is in images: python scripts/predict.py outputs/digits image.png (see --help)."""

import sys

from vit_hf.commands.predict import main

if __name__ == "__main__":
    sys.exit(main())
