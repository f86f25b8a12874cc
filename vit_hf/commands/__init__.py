"""vit-hf train | evaluate | predict | convert | publish | benchmark: the same functions as in scripts/."""

import importlib
import sys
from collections.abc import Sequence

from ..errors import unknown_name

COMMANDS = {
    "train": "train a classifier from a recipe, and leave a folder that is ready for the Hub",
    "evaluate": "measure a model on labeled images",
    "predict": "name what is in images",
    "convert": "bring a pretrained model from one library to another",
    "publish": "put a trained model on the Hub, once it is proven to load",
    "benchmark": "measure speed and memory against other libraries",
}


def usage() -> str:
    lines = [f"  {name:<10} {does}" for name, does in COMMANDS.items()]
    return "\n".join(
        [
            "usage: vit-hf COMMAND ...",
            "",
            *lines,
            "",
            "Each has its own --help. To begin with:",
            "  vit-hf train digits --training.output_dir outputs/digits",
        ]
    )


def main(words: Sequence[str] | None = None) -> int:
    """The `vit-hf` of the command line. Only the asked-for command is imported."""
    name, *rest = list(sys.argv[1:] if words is None else words) or ["--help"]
    if name in ("-h", "--help"):
        print(usage())
        return 0
    if name not in COMMANDS:
        print(f"error: {unknown_name('command', name, COMMANDS)}", file=sys.stderr)
        return 2
    return importlib.import_module(f"{__name__}.{name}").main(rest)
