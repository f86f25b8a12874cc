"""Vision Transformers as first-class Hugging Face models."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .registration import register_on_import

if TYPE_CHECKING:
    from .models.configuration_vit import VisionTransformerConfig
    from .models.modeling_vit import (
        VisionTransformerBackbone,
        VisionTransformerForImageClassification,
        VisionTransformerForMaskedImageModeling,
        VisionTransformerModel,
    )

__version__ = "0.1.0"

__all__ = [
    "VisionTransformerBackbone",
    "VisionTransformerConfig",
    "VisionTransformerForImageClassification",
    "VisionTransformerForMaskedImageModeling",
    "VisionTransformerModel",
]

register_on_import()


def __getattr__(name: str) -> Any:
    """A public class, whose module is imported when it is first asked for: torch and transformers take seconds."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = "configuration_vit" if name.endswith("Config") else "modeling_vit"
    return getattr(import_module(f".models.{module}", __name__), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
