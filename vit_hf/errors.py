"""What went wrong, in a sentence for the person who can mend it."""

import importlib
from collections.abc import Collection, Iterable
from difflib import get_close_matches
from types import ModuleType


class UserError(ValueError):
    """A mistake that the user can mend: the message names the value, says why it cannot be, and what would do.

    The command line prints the message alone. Any other ValueError is a fault of the package, and keeps its traceback.
    """


def unknown_name(kind: str, name: str, known: Collection[str]) -> str:
    """The sentence for a name that does not exist: the nearest right one, or all of them when they are few."""
    if nearest := get_close_matches(str(name), known, n=1, cutoff=0.5):
        return f"There is no {kind} {name!r}; did you mean {nearest[0]!r}?"
    if len(known) > 40:
        return f"There is no {kind} {name!r}, nor one of a similar name."
    return f"There is no {kind} {name!r}; there are {', '.join(sorted(known))}."


def first_few(names: Iterable[object], count: int = 6) -> str:
    """a, b, c and 3 more"""
    listed = [str(name) for name in names]
    more = f" and {len(listed) - count} more" if len(listed) > count else ""
    return ", ".join(listed[:count]) + more


def require_library(module: str, package: str) -> ModuleType:
    """A library that is imported only where something of its own is asked for.

    Raises: UserError that says how to install what is missing.
    """
    try:
        return importlib.import_module(module)
    except (ImportError, RuntimeError) as error:  # the latter where torchvision is of another build of torch
        raise UserError(f"This needs {package} ({error}); install it with: pip install {package}") from error
