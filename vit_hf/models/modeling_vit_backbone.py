"""The Vision Transformer as maps of features, for whatever finds, cuts out or measures things in images."""

from typing import Any

from einops import rearrange
from torch import Tensor
from transformers.backbone_utils import BackboneMixin, filter_output_hidden_states
from transformers.modeling_outputs import BackboneOutput
from transformers.utils.generic import can_return_tuple

from .configuration_vit import VisionTransformerConfig
from .modeling_vit import VisionTransformerModel, VisionTransformerPreTrainedModel
from .positions import Grid
from .shapes import grid_of


class VisionTransformerBackbone(BackboneMixin, VisionTransformerPreTrainedModel):
    """b c (h p) (w p) -> one feature map b d h w for each layer in `config.out_features`, normalized."""

    def __init__(self, config: VisionTransformerConfig):
        super().__init__(config)
        self.num_features = [config.hidden_size] * len(config.stage_names)
        self.vit = VisionTransformerModel(config, pool=False)
        self.post_init()

    @can_return_tuple
    @filter_output_hidden_states
    def forward(self, pixel_values: Tensor, **options: Any) -> BackboneOutput:
        outputs = self.vit(pixel_values, **options)
        grid = grid_of(pixel_values.shape[-2:], self.config.patch_size)
        stages = zip(self.stage_names, outputs.hidden_states, strict=True)
        feature_maps = tuple(self.as_map(tokens, grid) for name, tokens in stages if name in self.out_features)
        return BackboneOutput(
            feature_maps=feature_maps,  # pyright: ignore[reportArgumentType] (one map for each stage, not one)
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
        )

    def as_map(self, tokens: Tensor, grid: Grid) -> Tensor:
        """b n d -> b d h w: the patches' tokens, normalized, in their places."""
        patches = self.vit.norm(tokens)[:, self.config.num_prefix_tokens :]
        return rearrange(patches, "b (h w) d -> b d h w", h=grid[0], w=grid[1]).contiguous()


VisionTransformerBackbone.register_for_auto_class("AutoBackbone")
