"""Vision Transformers as first-class Hugging Face models.

Importing it tells transformers' Auto classes of every family, those of other installed packages included (public.py).
Only a command's process waits with that until it has something to run: it takes seconds, and a help text needs none of
it.
"""

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .version import __version__ as __version__

CALLED = Path(sys.argv[0]) if sys.argv else Path()
DOORS = Path(__file__).resolve().parents[1] / "scripts"
OF_A_COMMAND = CALLED.stem == "vit-hf" or CALLED.resolve().parent == DOORS
# Threads that wait in a busy loop stall everything on a machine that runs anything else, and torch asks only once, when
# it is imported. A command decides it, where its user has not; to a library it is not given.
if OF_A_COMMAND:
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def runs_a_command() -> bool:
    """Whether this process is a command: not one of its children, of which sys.argv says the same, nor somebody's own
    program in the folder of the doors."""
    commands = Path(__file__).parent / "commands"
    ours = CALLED.suffix in ("", ".exe") or (commands / CALLED.name).is_file() or (commands / CALLED.stem).is_dir()
    return OF_A_COMMAND and ours and sys.argv[0] in sys.orig_argv


if TYPE_CHECKING:

    def explain(model: Any, pixel_values: Any, **options: Any) -> Any: ...

    def train(data: Any, **fields: Any) -> Any: ...

else:

    def __getattr__(name: str) -> Any:
        """The public names, where they are not here yet: in a command, and while public.py is imported; and what
        trains and explains, which those who only load a model need not import."""
        if name in ("explain", "train"):
            return getattr(
                import_module({"explain": ".explanation.explain", "train": ".runs.begin"}[name], __name__), name
            )
        if (not name.startswith("_") or name == "__all__") and hasattr(
            public := import_module(".public", __name__), name
        ):
            return getattr(public, name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


if TYPE_CHECKING or not runs_a_command():
    from .public import *
    from .public import __all__ as __all__
