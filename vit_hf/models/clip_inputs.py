"""From clips of frames to tokens with positions, and what is no batch of clips."""

import torch
from torch import Tensor, nn

from .attention import build_dropout
from .clips import Clip, ClipTable, FrameTable
from .configuration_timesformer import TimeSformerConfig
from .modeling_base import check_pixels
from .patches import build_patches
from .positions import build_positions
from .shapes import UserError


class Embeddings(nn.Module):
    """b t c (h p) (w p) -> b (1 t h w) d: the class token and a token for each patch of each frame, with positions.

    For "space_only", where frames know nothing of each other, -> (b t) (1 h w) d.
    """

    def __init__(self, config: TimeSformerConfig):
        super().__init__()
        width, grid, kind = config.hidden_size, config.patch_grid, config.position_embedding
        self.patches = build_patches(
            config.patch_embedding, channels=config.num_channels, patch_size=config.patch_size, width=width
        )
        self.class_token = nn.Parameter(torch.empty(1, 1, width))
        self.apart = config.attention_type == "space_only"
        whole = kind == "embedding" and not self.apart
        self.positions = build_positions("none" if whole else kind, grid=grid, prefix=1, width=width)
        self.frame_positions = FrameTable(config.num_frames, width) if kind == "learned" and not self.apart else None
        self.clip_positions = ClipTable(config.num_frames, grid, width) if whole else None
        self.dropout = build_dropout(config.embedding_dropout_prob)

    def forward(self, pixel_values: Tensor, clip: Clip) -> Tensor:
        patches = self.patches(pixel_values.flatten(0, 1))  # (b t) n d
        tokens = torch.cat([self.class_token.expand(patches.shape[0], -1, -1), patches], dim=1)  # (b t) (1 n) d
        tokens = self.positions(tokens, clip.grid)
        return self.dropout(tokens if self.apart else self.join(tokens, clip))

    def join(self, tokens: Tensor, clip: Clip) -> Tensor:
        """(b t) (1 n) d -> b (1 t n) d: the frames one after the other, behind one class token."""
        tokens = tokens.unflatten(0, (-1, clip.frames))
        first, patches = tokens[:, 0, :1], tokens[:, :, 1:]
        if self.frame_positions is not None:
            patches = self.frame_positions(patches)
        tokens = torch.cat([first, patches.flatten(1, 2)], dim=1)
        return tokens if self.clip_positions is None else self.clip_positions(tokens, clip.grid, clip.frames)


def check_clips(pixel_values: Tensor, channels: int, *, finite: bool = False) -> None:
    """Raises: UserError unless these are clips b t c h w of floats; with `finite`, also for NaN and infinities."""
    shape = None if pixel_values is None else tuple(pixel_values.shape)
    if shape is None or len(shape) != 5:
        hint = "; a still image is a clip of one frame, pixel_values[:, None]" if shape and len(shape) == 4 else ""
        raise UserError(f"pixel_values of shape {shape} are not (batch, frames, channels, height, width){hint}.")
    if shape[1] == channels != shape[2]:
        raise UserError(
            f"pixel_values of shape {shape} have {shape[2]} channels in each of {shape[1]} frames; the model takes "
            f"{channels}. If channels come before frames, give pixel_values.transpose(1, 2)."
        )
    check_pixels(pixel_values.flatten(0, 1), channels, finite=finite)


def seen_frames(frame_mask: Tensor | None, pixel_values: Tensor) -> Tensor | None:
    """b t -> b t, boolean. Raises: UserError for another shape."""
    if frame_mask is None:
        return None
    if frame_mask.shape != pixel_values.shape[:2]:
        given, wanted = tuple(frame_mask.shape), tuple(pixel_values.shape[:2])
        raise UserError(f"frame_mask of shape {given} is not of the clips and frames of pixel_values, {wanted}.")
    return frame_mask.to(pixel_values.device, torch.bool)
