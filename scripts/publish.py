"""Publish a model on the Hub: python scripts/publish.py FOLDER OWNER/NAME (see --help)."""

import sys

from vit_hf.commands.publish import main

if __name__ == "__main__":
    sys.exit(main())
