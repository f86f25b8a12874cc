"""Other libraries, which are imported only where something of theirs is asked for."""

import importlib
from types import ModuleType


def required(module: str, package: str) -> ModuleType:
    """Raises: ValueError that says how to install what is missing."""
    try:
        return importlib.import_module(module)
    except (ImportError, RuntimeError) as error:  # the latter where torchvision is of another build of torch
        raise ValueError(f"This needs {package} ({error}); install it with: pip install {package}") from error
