"""The Swin Transformer (arXiv:2103.14030), and its second version (arXiv:2111.09883)."""

from ..completion import combinations
from ..modality import IMAGE
from ..models.configuration_swin import SwinTransformerConfig
from ..models.modeling_swin import SwinTransformerBackbone, SwinTransformerForImageClassification, SwinTransformerModel
from .base import Family


class SwinTransformer(Family):
    name = "swin"
    title = "Swin Transformer"
    modality = IMAGE
    config_class = SwinTransformerConfig
    classes = {
        "AutoModel": SwinTransformerModel,
        "AutoModelForImageClassification": SwinTransformerForImageClassification,
        "AutoBackbone": SwinTransformerBackbone,
    }
    checks = (combinations.check_stages, combinations.check_swin_numbers)
