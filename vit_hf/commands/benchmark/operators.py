"""torchvision beside a torch that it was not compiled for."""

from importlib.util import find_spec
from pathlib import Path

import torch

# What torchvision 0.28 describes on import without looking whether its compiled half is there.
DESCRIBED = {
    "nms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}


def compiled_half_loads(folder: Path) -> bool:
    """Whether this torch can load the operators that torchvision, installed in `folder`, was compiled with."""
    try:
        for library in folder.glob("_C*.so"):
            torch.ops.load_library(library)
    except OSError:
        return False
    return True


def make_torchvision_importable() -> None:
    """Declare the operators that would stop torchvision's import; call it before anything imports torchvision.

    The registry's torchvision is compiled for the registry's torch. Beside another build (one for CPUs, say)
    its compiled half does not load, and then its import raises, and with it that of timm, of vit-pytorch and of
    every image model of transformers. None of them calls these operators to classify an image.
    """
    found = find_spec("torchvision")
    if found is None or found.origin is None or compiled_half_loads(Path(found.origin).parent):
        return
    for name, schema in DESCRIBED.items():
        torch.library.define(f"torchvision::{name}", schema)
