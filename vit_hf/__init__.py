"""Vision Transformers as first-class Hugging Face models.

Importing it tells transformers' Auto classes of every family, those of other installed packages included.
"""

import os
import sys
from pathlib import Path
from typing import Any

# Threads that wait in a busy loop stall everything on a machine that runs anything else, and torch asks only once, when
# it is imported. A command decides it, where its user has not; to a library it is not given.
CALLED = Path(sys.argv[0]) if sys.argv else Path()
if CALLED.stem == "vit-hf" or CALLED.resolve().parent == Path(__file__).resolve().parents[1] / "scripts":
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from .families import register_installed, register_own
from .models.configuration_swin import SwinTransformerConfig
from .models.configuration_timesformer import TimeSformerConfig
from .models.configuration_vit import VisionTransformerConfig
from .models.modeling_swin import (
    SwinTransformerBackbone,
    SwinTransformerForImageClassification,
    SwinTransformerModel,
)
from .models.modeling_timesformer import TimeSformerForVideoClassification, TimeSformerModel
from .models.modeling_vit import VisionTransformerForImageClassification, VisionTransformerModel
from .models.modeling_vit_heads import (
    VisionTransformerBackbone,
    VisionTransformerForMaskedImageModeling,
)
from .models.video_processing_timesformer import TimeSformerVideoProcessor
from .version import __version__

__all__ = [
    "SwinTransformerBackbone",
    "SwinTransformerConfig",
    "SwinTransformerForImageClassification",
    "SwinTransformerModel",
    "TimeSformerConfig",
    "TimeSformerForVideoClassification",
    "TimeSformerModel",
    "TimeSformerVideoProcessor",
    "VisionTransformerBackbone",
    "VisionTransformerConfig",
    "VisionTransformerForImageClassification",
    "VisionTransformerForMaskedImageModeling",
    "VisionTransformerModel",
    "__version__",
    "train",  # pyright: ignore[reportUnsupportedDunderAll]
]


def __getattr__(name: str) -> Any:
    """What trains is imported once it is asked for, as most who import the package only load a model."""
    if name == "train":
        from .runs.begin import train

        return train
    raise AttributeError(f"module 'vit_hf' has no attribute {name!r}")


register_own()
register_installed()
