"""The Swin Transformer as maps of features, for whatever finds, cuts out or measures things in images."""

from typing import Any

from einops import rearrange
from torch import Tensor, nn
from transformers.backbone_utils import BackboneMixin, filter_output_hidden_states
from transformers.modeling_outputs import BackboneOutput
from transformers.utils.generic import can_return_tuple

from .configuration_swin import SwinTransformerConfig
from .modeling_swin import SwinTransformerModel, SwinTransformerPreTrainedModel
from .window_blocks import halved


class SwinTransformerBackbone(BackboneMixin, SwinTransformerPreTrainedModel):
    """b c h w -> one feature map b d h w for each stage in `config.out_features`, each with a norm of its own."""

    # Of a classifier, whose last stage has a norm of its own.
    _keys_to_ignore_on_load_unexpected = [r"^swin\.norm\."]

    def __init__(self, config: SwinTransformerConfig):
        super().__init__(config)
        widths = [config.embed_dim * 2**stage for stage in range(len(config.depths))]
        self.num_features = [config.embed_dim, *widths]
        self.swin = SwinTransformerModel(config, pool=False, clamped=False)
        names = zip(config.stage_names, self.num_features, strict=True)
        self.norms = nn.ModuleDict(
            {name: nn.LayerNorm(width, eps=config.layer_norm_eps) for name, width in names if name in self.out_features}
        )
        self.post_init()

    @can_return_tuple
    @filter_output_hidden_states
    def forward(self, pixel_values: Tensor, **options: Any) -> BackboneOutput:
        outputs = self.swin(pixel_values, **options)
        grids = [self.swin.grid_of(pixel_values)] * 2
        for _ in self.config.depths[1:]:
            grids.append(halved(grids[-1]))
        feature_maps = tuple(
            rearrange(self.norms[name](tokens), "b (h w) d -> b d h w", h=grid[0]).contiguous()
            for name, tokens, grid in zip(self.stage_names, outputs.hidden_states, grids, strict=True)
            if name in self.norms
        )
        return BackboneOutput(
            feature_maps=feature_maps,  # pyright: ignore[reportArgumentType] (one map for each stage, not one)
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
        )


SwinTransformerBackbone.register_for_auto_class("AutoBackbone")
