"""Another head of the Swin Transformer: one that paints what it was not shown."""

from typing import Any

from einops import rearrange, repeat
from torch import Tensor, nn
from transformers.modeling_outputs import MaskedImageModelingOutput
from transformers.utils.generic import can_return_tuple

from .configuration_swin import SwinTransformerConfig
from .modeling_base import masked_pixel_loss
from .modeling_swin import SwinTransformerModel, SwinTransformerPreTrainedModel
from .positions import Grid
from .shapes import pair
from .window_blocks import halved


class SwinTransformerForMaskedImageModeling(SwinTransformerPreTrainedModel):
    """b c h w, b (rows columns) -> the image b c h w, painted from patches of which some were masked.

    One Linear paints what lies under each token of the last stage. Source: SimMIM (arXiv:2111.09886).
    """

    def __init__(self, config: SwinTransformerConfig):
        super().__init__(config)
        self.sides = [side * 2 ** (len(config.depths) - 1) for side in pair(config.patch_size)]  # under a token
        self.swin = SwinTransformerModel(config, use_mask_token=True)
        self.decoder = nn.Linear(config.hidden_size, self.sides[0] * self.sides[1] * config.num_channels)
        self.post_init()

    @can_return_tuple
    def forward(
        self, pixel_values: Tensor, bool_masked_pos: Tensor | None = None, **options: Any
    ) -> MaskedImageModelingOutput:
        """bool_masked_pos: b (rows columns) of patches, True where one is hidden; with it comes the loss over those."""
        outputs = self.swin(pixel_values, bool_masked_pos, **options)
        height, width = pixel_values.shape[-2:]
        grid = self.swin.grid_of(pixel_values)
        reconstruction = self.paint(outputs.last_hidden_state, grid)[..., :height, :width]
        loss = None
        if bool_masked_pos is not None:
            hidden = self.pixels_of(bool_masked_pos, grid)[..., :height, :width]
            loss = masked_pixel_loss(reconstruction, pixel_values, hidden)
        return MaskedImageModelingOutput(
            loss=loss,
            reconstruction=reconstruction,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
        )

    def paint(self, tokens: Tensor, grid: Grid) -> Tensor:
        """b n d -> b c (h p1) (w p2), of the last stage; `grid` is that of the patches."""
        for _ in self.config.depths[1:]:
            grid = halved(grid)
        down, across = self.sides
        squares = "b (h w) (p1 p2 c) -> b c (h p1) (w p2)"
        return rearrange(self.decoder(tokens), squares, h=grid[0], w=grid[1], p1=down, p2=across)

    def pixels_of(self, masked: Tensor, grid: Grid) -> Tensor:
        """b (h w) -> b 1 (h p1) (w p2): the pixels of the masked patches."""
        down, across = pair(self.config.patch_size)
        return repeat(masked, "b (h w) -> b 1 (h p1) (w p2)", h=grid[0], w=grid[1], p1=down, p2=across)


SwinTransformerForMaskedImageModeling.register_for_auto_class("AutoModelForMaskedImageModeling")
