"""Vision Transformers as first-class Hugging Face models."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .families import WHERE
from .registration import register_on_import
from .version import __version__

if TYPE_CHECKING:
    from .models.configuration_swin import SwinTransformerConfig
    from .models.configuration_timesformer import TimeSformerConfig
    from .models.configuration_vit import VisionTransformerConfig
    from .models.modeling_swin import SwinTransformerForImageClassification, SwinTransformerModel
    from .models.modeling_swin_backbone import SwinTransformerBackbone
    from .models.modeling_timesformer import TimeSformerForVideoClassification, TimeSformerModel
    from .models.modeling_vit import VisionTransformerForImageClassification, VisionTransformerModel
    from .models.modeling_vit_backbone import VisionTransformerBackbone
    from .models.modeling_vit_masked import VisionTransformerForMaskedImageModeling
    from .models.video_processing_timesformer import TimeSformerVideoProcessor

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

register_on_import()


def __getattr__(name: str) -> Any:
    """A public class, whose module is imported when it is first asked for: torch and transformers take seconds."""
    if name not in WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".models.{WHERE[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
