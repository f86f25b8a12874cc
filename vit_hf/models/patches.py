"""From an image to the tokens of its patches."""

import torch
from einops import rearrange
from einops.layers.torch import Rearrange
from torch import Tensor, nn

from .shapes import UserError, pair


class LinearPatches(nn.Module):
    """b c (h p1) (w p2) -> b (h w) d: each patch, flattened by row, column and channel, through one Linear.

    With `norm`, LayerNorm before and after it (Dual PatchNorm, arXiv:2302.01327). Source: arXiv:2010.11929, eq. 1.
    """

    def __init__(self, channels: int, patch_size, width: int, *, norm: bool, eps: float, bias: bool = True):
        super().__init__()
        height, across = pair(patch_size)
        pixels = height * across * channels
        self.flatten = Rearrange("b c (h p1) (w p2) -> b (h w) (p1 p2 c)", p1=height, p2=across)
        self.norm_before = nn.LayerNorm(pixels, eps=eps) if norm else nn.Identity()
        self.projection = nn.Linear(pixels, width, bias=bias)
        self.norm_after = nn.LayerNorm(width, eps=eps) if norm else nn.Identity()

    def forward(self, pixel_values: Tensor) -> Tensor:
        pixel_values = pixel_values.to(dtype_of(self.projection))
        # Channels beside each other, as they are in a patch, are gathered twice as fast.
        pixels = self.flatten(pixel_values.contiguous(memory_format=torch.channels_last))
        return self.norm_after(self.projection(self.norm_before(pixels)))


class ConvPatches(nn.Module):
    """b c (h p1) (w p2) -> b (h w) d: a convolution whose stride is its kernel.

    The same map as `LinearPatches` with its weight reshaped. Source: Swin Transformer's released code.
    """

    def __init__(self, channels: int, patch_size, width: int, *, norm: bool, eps: float, bias: bool = True):
        super().__init__()
        if norm:
            raise UserError("A convolution has no flattened patches to normalize; take patch_embedding='linear'.")
        size = pair(patch_size)
        self.projection = nn.Conv2d(channels, width, kernel_size=size, stride=size, bias=bias)

    def forward(self, pixel_values: Tensor) -> Tensor:
        pixel_values = pixel_values.to(dtype_of(self.projection))
        patches = self.projection(pixel_values.contiguous(memory_format=torch.channels_last))
        return rearrange(patches, "b d h w -> b (h w) d")


def dtype_of(projection: nn.Module) -> torch.dtype:
    """Of what it computes with: its weights, or where these are quantized to whole numbers its other parameters."""
    return next(parameter.dtype for parameter in projection.parameters() if parameter.is_floating_point())


PATCHES = {"linear": LinearPatches, "conv": ConvPatches}


def build_patches(
    kind: str, *, channels: int, patch_size, width: int, norm: bool = False, eps: float = 1e-6, bias: bool = True
) -> nn.Module:
    """The patch embedding that a config names in `patch_embedding`."""
    return PATCHES[kind](channels, patch_size, width, norm=norm, eps=eps, bias=bias)
