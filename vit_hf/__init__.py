"""Vision Transformers as first-class Hugging Face models.

Importing it tells transformers' Auto classes of every family, those of other installed packages included.
"""

import os
import sys
from pathlib import Path

# Threads that wait in a busy loop stall everything on a machine that runs anything else, and torch asks only once, when
# it is imported. A command decides it, where its user has not; to a library it is not given.
CALLED = Path(sys.argv[0]) if sys.argv else Path()
if CALLED.stem == "vit-hf" or CALLED.resolve().parent == Path(__file__).resolve().parents[1] / "scripts":
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from .families import register_installed, register_own  # noqa: E402
from .models.configuration_swin import SwinTransformerConfig  # noqa: E402
from .models.configuration_timesformer import TimeSformerConfig  # noqa: E402
from .models.configuration_vit import VisionTransformerConfig  # noqa: E402
from .models.modeling_swin import SwinTransformerForImageClassification, SwinTransformerModel  # noqa: E402
from .models.modeling_swin_backbone import SwinTransformerBackbone  # noqa: E402
from .models.modeling_timesformer import TimeSformerForVideoClassification, TimeSformerModel  # noqa: E402
from .models.modeling_vit import VisionTransformerForImageClassification, VisionTransformerModel  # noqa: E402
from .models.modeling_vit_backbone import VisionTransformerBackbone  # noqa: E402
from .models.modeling_vit_masked import VisionTransformerForMaskedImageModeling  # noqa: E402
from .models.video_processing_timesformer import TimeSformerVideoProcessor  # noqa: E402
from .version import __version__  # noqa: E402

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
]

register_own()
register_installed()
