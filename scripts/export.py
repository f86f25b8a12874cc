"""Write a model for another runtime: python scripts/export.py outputs/digits digits-onnx (see --help)."""

import sys

from vit_hf.commands.export import main

if __name__ == "__main__":
    sys.exit(main())
