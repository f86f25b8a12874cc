"""What `import vit_hf` gives. Importing this registers every family."""

from .families import register_installed, register_own
from .fewer_tokens.put_on import drop_patches, merge_tokens
from .models.configuration_swin import SwinTransformerConfig
from .models.configuration_timesformer import TimeSformerConfig
from .models.configuration_vit import VisionTransformerConfig
from .models.modeling_swin import (
    SwinTransformerBackbone,
    SwinTransformerForImageClassification,
    SwinTransformerModel,
)
from .models.modeling_swin_heads import SwinTransformerForMaskedImageModeling
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
    "SwinTransformerForMaskedImageModeling",
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
    "drop_patches",
    "merge_tokens",
]

register_own()
register_installed()
