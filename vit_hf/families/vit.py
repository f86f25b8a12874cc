"""The Vision Transformer (arXiv:2010.11929)."""

from ..completion import combinations
from ..modality import IMAGE
from ..models.configuration_vit import VisionTransformerConfig
from ..models.modeling_vit import VisionTransformerForImageClassification, VisionTransformerModel
from ..models.modeling_vit_heads import VisionTransformerBackbone, VisionTransformerForMaskedImageModeling
from .base import Family


class VisionTransformer(Family):
    name = "vit"
    title = "Vision Transformer"
    modality = IMAGE
    config_class = VisionTransformerConfig
    classes = {
        "AutoModel": VisionTransformerModel,
        "AutoModelForImageClassification": VisionTransformerForImageClassification,
        "AutoModelForMaskedImageModeling": VisionTransformerForMaskedImageModeling,
        "AutoBackbone": VisionTransformerBackbone,
    }
    # The first that refuses is heard.
    checks = (
        combinations.check_heads,
        combinations.check_numbers,
        combinations.check_patch_grid,
        combinations.check_patch_norm,
        combinations.check_pooling,
        combinations.check_positions,
        combinations.check_distillation,
    )
