"""Vision Transformers as first-class Hugging Face models."""

from transformers import (
    AutoBackbone,
    AutoConfig,
    AutoModel,
    AutoModelForImageClassification,
    AutoModelForMaskedImageModeling,
)

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

AutoConfig.register(VisionTransformerConfig.model_type, VisionTransformerConfig)
AutoModel.register(VisionTransformerConfig, VisionTransformerModel)
AutoModelForImageClassification.register(VisionTransformerConfig, VisionTransformerForImageClassification)
AutoModelForMaskedImageModeling.register(VisionTransformerConfig, VisionTransformerForMaskedImageModeling)
AutoBackbone.register(VisionTransformerConfig, VisionTransformerBackbone)
