"""Other heads of the Vision Transformer: one that paints what it was not shown, and maps of features as a backbone."""

from typing import Any

from einops import rearrange, repeat
from torch import Tensor, nn
from transformers.backbone_utils import BackboneMixin, filter_output_hidden_states
from transformers.modeling_outputs import BackboneOutput, MaskedImageModelingOutput
from transformers.utils.generic import can_return_tuple

from .configuration_vit import VisionTransformerConfig
from .modeling_base import masked_pixel_loss
from .modeling_vit import VisionTransformerModel, VisionTransformerPreTrainedModel
from .positions import Grid
from .shapes import grid_of, pair


class VisionTransformerForMaskedImageModeling(VisionTransformerPreTrainedModel):
    """b c (h p) (w p), b (h w) -> the image b c (h p) (w p), painted from tokens of which some were masked.

    One Linear paints each patch. Source: SimMIM (arXiv:2111.09886).
    """

    def __init__(self, config: VisionTransformerConfig):
        super().__init__(config)
        grid_of(config.image_size, config.patch_size)  # nothing could paint what partial_patches="cut" leaves unread
        height, across = pair(config.patch_size)
        self.vit = VisionTransformerModel(config, pool=False, use_mask_token=True)
        self.decoder = nn.Linear(config.hidden_size, height * across * config.num_channels)
        self.post_init()

    @can_return_tuple
    def forward(
        self, pixel_values: Tensor, bool_masked_pos: Tensor | None = None, **options: Any
    ) -> MaskedImageModelingOutput:
        """bool_masked_pos: b (h w), True where a patch is hidden; with it comes the loss over those patches."""
        grid = grid_of(pixel_values.shape[-2:], self.config.patch_size)
        outputs = self.vit(pixel_values, bool_masked_pos, return_dict=True, **options)
        reconstruction = self.paint(outputs.last_hidden_state, grid)
        loss = None
        if bool_masked_pos is not None:
            loss = masked_pixel_loss(reconstruction, pixel_values, self.pixels_of(bool_masked_pos, grid))
        return MaskedImageModelingOutput(
            loss=loss,
            reconstruction=reconstruction,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
        )

    def paint(self, tokens: Tensor, grid: Grid) -> Tensor:
        """b n d -> b c (h p1) (w p2)"""
        height, across = pair(self.config.patch_size)
        patches = self.decoder(tokens[:, self.config.num_prefix_tokens :])
        return rearrange(patches, "b (h w) (p1 p2 c) -> b c (h p1) (w p2)", h=grid[0], w=grid[1], p1=height, p2=across)

    def pixels_of(self, masked: Tensor, grid: Grid) -> Tensor:
        """b (h w) -> b 1 (h p1) (w p2): the pixels of the masked patches."""
        height, across = pair(self.config.patch_size)
        return repeat(masked, "b (h w) -> b 1 (h p1) (w p2)", h=grid[0], w=grid[1], p1=height, p2=across)


class VisionTransformerBackbone(BackboneMixin, VisionTransformerPreTrainedModel):
    """b c (h p) (w p) -> one feature map b d h w for each layer in `config.out_features`, normalized.

    Without `config.reshape_hidden_states` the tokens b n d of each, class token and registers first.
    """

    def __init__(self, config: VisionTransformerConfig):
        super().__init__(config)
        self.num_features = [config.hidden_size] * len(config.stage_names)
        self.vit = VisionTransformerModel(config, pool=False)
        self.post_init()

    @can_return_tuple
    @filter_output_hidden_states
    def forward(self, pixel_values: Tensor, **options: Any) -> BackboneOutput:
        outputs = self.vit(pixel_values, return_dict=True, **options)
        grid = self.config.grid_of(pixel_values.shape[-2:])
        stages = zip(self.stage_names, outputs.hidden_states, strict=True)
        feature_maps = tuple(self.as_map(tokens, grid) for name, tokens in stages if name in self.out_features)
        return BackboneOutput(
            feature_maps=feature_maps,  # pyright: ignore[reportArgumentType] (one map for each stage, not one)
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
        )

    def as_map(self, tokens: Tensor, grid: Grid) -> Tensor:
        """b n d -> b d h w: the patches' tokens, normalized, in their places."""
        tokens = self.vit.norm(tokens)
        if not self.config.reshape_hidden_states:
            return tokens
        patches = tokens[:, self.config.num_prefix_tokens :]
        return rearrange(patches, "b (h w) d -> b d h w", h=grid[0], w=grid[1]).contiguous()


VisionTransformerForMaskedImageModeling.register_for_auto_class("AutoModelForMaskedImageModeling")
VisionTransformerBackbone.register_for_auto_class("AutoBackbone")
