"""Colors of whole batches of bytes, each image by its own amount; equal to Pillow's to within a gray level.

What an operation makes of a pixel often depends on its value alone. Such an operation is a table of 256 values for
each image and channel, and looking values up costs the same whatever the operation.
"""

import torch
from einops import rearrange, repeat
from torch import Tensor

from ...errors import UserError

GRAY_LEVELS = 256


def look_up(pixels: Tensor, tables: Tensor) -> Tensor:
    """b c h w, b (c or 1) 256 -> b c h w"""
    tables = tables.expand(-1, pixels.shape[1], -1)
    return tables.gather(2, pixels.flatten(2).long()).view(pixels.shape)


def as_bytes(values: Tensor) -> Tensor:
    """... -> ...: cut to 0..255, and down to a whole number, as Pillow does."""
    # By way of 16 bits, which is twice as fast.
    return values.clamp(0, GRAY_LEVELS - 1).short().to(torch.uint8)


def levels(pixels: Tensor) -> Tensor:
    """-> 256: 0, 1, ... where the pixels are"""
    return torch.arange(GRAY_LEVELS, device=pixels.device)


def column(amounts: Tensor) -> Tensor:
    """b -> b 1 1"""
    return amounts[:, None, None]


def is_gray(pixels: Tensor) -> bool:
    """Raises: UserError for a number of channels that are neither gray nor colors."""
    if pixels.shape[1] not in (1, 3):
        raise UserError(f"Colors can be changed in images of 1 or 3 channels, and these have {pixels.shape[1]}.")
    return pixels.shape[1] == 1


def gray(pixels: Tensor) -> Tensor:
    """b c h w -> b 1 h w: brightness by ITU-R 601"""
    if is_gray(pixels):
        return pixels
    red, green, blue = pixels.int().split(1, dim=1)
    return (
        (red * 19595)
        .add_(green, alpha=38470)
        .add_(blue, alpha=7471)
        .add_(0x8000)
        .bitwise_right_shift_(16)
        .to(torch.uint8)
    )


def blend(away: Tensor, pixels: Tensor, factors: Tensor) -> Tensor:
    """b c h w, b c h w, b -> b c h w: `away` at factor 0, the pixels at 1, and beyond them at more."""
    away = away.float()
    return as_bytes((pixels - away).mul_(factors[:, None, None, None]).add_(away))


def invert(pixels: Tensor) -> Tensor:
    return GRAY_LEVELS - 1 - pixels


def brightness(pixels: Tensor, factors: Tensor) -> Tensor:
    """b c h w, b -> b c h w: black at 0, as it is at 1"""
    return look_up(pixels, as_bytes(levels(pixels) * column(factors)))


def contrast(pixels: Tensor, factors: Tensor) -> Tensor:
    """b c h w, b -> b c h w: the mean gray at 0, as it is at 1"""
    sums = gray(pixels).sum(dim=(1, 2, 3), dtype=torch.int64)
    count = pixels.shape[-2] * pixels.shape[-1]
    mean = column((2 * sums + count) // (2 * count)).float()
    return look_up(pixels, as_bytes(mean + column(factors) * (levels(pixels) - mean)))


def saturation(pixels: Tensor, factors: Tensor) -> Tensor:
    """b c h w, b -> b c h w: gray at 0, as it is at 1"""
    return blend(gray(pixels), pixels, factors)


def hue(pixels: Tensor, turns: Tensor) -> Tensor:
    """b c h w, b -> b c h w: every color further around their circle, by a share of it. Gray stays gray.

    By way of Pillow's hue, saturation and value, which are bytes, and to the bit; hence double precision.
    """
    if is_gray(pixels):
        return pixels
    value = pixels.amax(dim=1, keepdim=True)
    spread = (value - pixels.amin(dim=1, keepdim=True)).float()
    red, green, blue = ((value - pixels) / spread.clamp(min=1)).double().split(1, dim=1)
    is_red, is_green, _ = (pixels == value).split(1, dim=1)
    sixths = torch.where(is_red, blue - green, torch.where(is_green, 2 + red - blue, 4 + green - red)).float()
    shares = ((sixths.double() / 6 + 1) % 1).float()
    angle = ((shares.double() * 255).int() + (turns * 255).int()[:, None, None, None]) % GRAY_LEVELS
    saturation = (spread / value.clamp(min=1)).double().mul_(255).int().double() / 255
    furthest = torch.arange(5, 0, -2, device=pixels.device)[:, None, None]  # of the circle's sixths from each channel
    apart = (furthest + angle.double() * 6 / 255) % 6
    away = torch.minimum(apart, 4 - apart).clamp_(0, 1)
    return as_bytes((value * (1 - saturation * away)).add_(0.5))


def sharpness(pixels: Tensor, factors: Tensor) -> Tensor:
    """b c h w, b -> b c h w: smoothed at 0, as it is at 1; the outermost pixels stay as they are."""
    wide = pixels.short()
    inner, sharper = wide[..., 1:-1, 1:-1], pixels.clone()
    rows = (wide[..., :-2, :] + wide[..., 1:-1, :]).add_(wide[..., 2:, :])
    sums = (rows[..., :-2] + rows[..., 1:-1]).add_(rows[..., 2:]).add_(inner, alpha=4)
    smooth = sums.float().mul_(1 / 13).add_(0.5).short()
    sharper[..., 1:-1, 1:-1] = blend(smooth, inner, factors)
    return sharper


def posterize(pixels: Tensor, bits: Tensor) -> Tensor:
    """b c h w, b -> b c h w: keep only so many of the 8 bits."""
    return pixels & (GRAY_LEVELS - 2 ** (8 - bits.long())).to(torch.uint8)[:, None, None, None]


def solarize(pixels: Tensor, thresholds: Tensor) -> Tensor:
    """b c h w, b -> b c h w: invert what is at or above the threshold."""
    own = levels(pixels)
    return look_up(pixels, as_bytes(torch.where(own < column(thresholds), own, GRAY_LEVELS - 1 - own)))


def solarize_add(pixels: Tensor, amounts: Tensor) -> Tensor:
    """b c h w, b -> b c h w: brighten what is darker than half by a number of levels."""
    own = levels(pixels)
    return look_up(pixels, as_bytes(torch.where(own < GRAY_LEVELS // 2, own + column(amounts), own)))


def auto_contrast(pixels: Tensor) -> Tensor:
    """b c h w -> b c h w: stretch every channel over all levels."""
    darkest = pixels.amin(dim=(2, 3)).double()[..., None]
    spread = pixels.amax(dim=(2, 3)).double()[..., None] - darkest
    own = levels(pixels)
    scale = torch.full_like(spread, 255) / spread  # not 255 / spread, which torch rounds twice
    stretched = own * scale - darkest * scale
    return look_up(pixels, as_bytes(torch.where(spread > 0, stretched, own)))


def histograms(pixels: Tensor) -> Tensor:
    """b c h w -> b c 256"""
    batch, channels = pixels.shape[:2]
    first = torch.arange(batch * channels, device=pixels.device, dtype=torch.int32) * GRAY_LEVELS
    places = (pixels.int() + rearrange(first, "(b c) -> b c 1 1", b=batch)).flatten()
    size = batch * channels * GRAY_LEVELS
    if pixels.device.type == "cpu":
        counts = torch.bincount(places, minlength=size)
    else:  # where bincount waits for the device, to look for places beyond that
        counts = torch.zeros(size, device=pixels.device, dtype=torch.int64)
        counts.scatter_add_(0, places.long(), counts.new_ones(()).expand(len(places)))
    return counts.reshape(batch, channels, GRAY_LEVELS)


def equalize(pixels: Tensor) -> Tensor:
    """b c h w -> b c h w: spread the levels of every channel evenly."""
    counts = histograms(pixels)
    last = counts.gather(2, GRAY_LEVELS - 1 - (counts.flip(2) > 0).int().argmax(dim=2, keepdim=True))
    step = (counts.sum(dim=2, keepdim=True) - last) // 255
    before = counts.cumsum(dim=2) - counts
    even = (before + step // 2) // step.clamp(min=1)
    return look_up(pixels, as_bytes(torch.where(step > 0, even, levels(pixels))))


REACH = 6  # pixels to each side that a blur sees: three standard deviations of the strongest


def blurring(length: int, radii: Tensor) -> Tensor:
    """b -> b length length: each row holds the weights of the pixels that become one; the border repeats itself."""
    offsets = torch.arange(-REACH, REACH + 1, device=radii.device)
    weights = torch.exp(-0.5 * (offsets / rearrange(radii, "b -> b 1")) ** 2)
    weights = weights / weights.sum(dim=1, keepdim=True)
    places = torch.arange(length, device=radii.device)
    beyond = torch.arange(-REACH, length + REACH, device=radii.device)
    apart = beyond - rearrange(places, "to -> to 1")
    padded = torch.where(apart.abs() <= REACH, weights[:, (apart + REACH).clamp(0, 2 * REACH)], 0)
    matrix = padded[:, :, REACH:-REACH].clone()
    matrix[:, :, 0] += padded[:, :, :REACH].sum(dim=2)
    matrix[:, :, -1] += padded[:, :, -REACH:].sum(dim=2)
    return matrix


def blur(pixels: Tensor, radii: Tensor) -> Tensor:
    """b c h w, b -> b c h w: a Gaussian of so many pixels' standard deviation (2 at most), as two matrix products"""
    down, across = (rearrange(blurring(side, radii), "b to of -> b 1 to of") for side in pixels.shape[-2:])
    return as_bytes((down @ pixels.float() @ across.mT).add_(0.5))


def gray_in_all(pixels: Tensor) -> Tensor:
    """b c h w -> b c h w: the same gray in every channel"""
    return repeat(gray(pixels), "b 1 h w -> b c h w", c=pixels.shape[1])
