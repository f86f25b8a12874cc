"""Other libraries: which are installed, where, and how their models are called."""

import sys
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from torch import nn

from ... import __version__
from .operators import make_torchvision_importable

OURS = "vit_hf"


class Logits(nn.Module):
    """A model of the transformers kind, as a function from pixels to logits."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, pixels):
        return self.model(pixels).logits


def installed_version(library: str) -> str | None:
    """None where it is not installed."""
    if library.startswith(OURS):
        return __version__
    try:
        return version(library)
    except PackageNotFoundError:
        return None


@contextmanager
def libraries_beside(folder: Path | None):
    """Look for libraries in `folder` too (`pip install --target`), and let torchvision be imported from there.

    Raises: FileNotFoundError where there is no such folder.
    """
    if folder is not None and not folder.is_dir():
        raise FileNotFoundError(f"There is no folder {folder} of peers; make one with `make {folder}/.installed`.")
    found = [] if folder is None else [str(folder.resolve())]
    sys.path[:0] = found
    try:
        make_torchvision_importable()
        yield
    finally:
        for place in found:
            sys.path.remove(place)
