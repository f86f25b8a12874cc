"""What an image processor does, as a part of a graph: from the bytes of a picture of any size to what a model takes.

Resizing is two products with matrices, which every runtime has: the weights of Pillow's antialiased filters, with what
is cut out of the middle or put around it counted in.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from einops import rearrange
from PIL.Image import Resampling
from torch import Tensor, nn

from ..data.decode.preparation import shares_arithmetic
from ..data.decode.resize import Sizing
from ..errors import UserError

WEIGHT_STEPS = 2**22  # to which Pillow rounds weights, which over many pixels turns gray levels


class Filter(NamedTuple):
    """How much of a pixel at a distance is taken, and from which distance on nothing is; in pixels of the result."""

    weight: Callable[[Tensor], Tensor]
    support: float


def bicubic(distance: Tensor) -> Tensor:
    """Keys' kernel with a = -1/2, as Pillow's."""
    near = (1.5 * distance - 2.5) * distance * distance + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    return torch.where(distance < 1, near, torch.where(distance < 2, far, torch.zeros_like(distance)))


def lanczos(distance: Tensor) -> Tensor:
    return torch.where(distance < 3, torch.sinc(distance) * torch.sinc(distance / 3), torch.zeros_like(distance))


FILTERS = {
    Resampling.BOX: Filter(lambda distance: (distance <= 0.5).to(distance.dtype), 0.5),
    Resampling.BILINEAR: Filter(lambda distance: (1 - distance).clamp(min=0), 1.0),
    Resampling.BICUBIC: Filter(bicubic, 2.0),
    Resampling.LANCZOS: Filter(lanczos, 3.0),
}


def resampling_weights(
    length: Tensor, resized: Tensor, first: Tensor, wanted: int, pixels: Tensor, how: Filter
) -> Tensor:
    """-> wanted length: of each pixel of the result, how much of which pixel of a side it is; where it lies outside the
    resized side, none of any.

    length, resized: of the side, before and after, doubles. first: which pixel of the resized side is the result's
    first; below 0 where a border is put around. pixels: length, their numbers, doubles.
    """
    places = first + torch.arange(wanted, dtype=torch.float64)
    scale = length / resized
    stretch = scale.clamp(min=1)  # of a side that becomes smaller, the filter sees all pixels
    centers = (places + 0.5) * scale
    reach = how.support * stretch
    from_, to = (centers - reach + 0.5).floor().clamp(min=0), torch.minimum((centers + reach + 0.5).floor(), length)
    distance = (pixels + 0.5 - centers[:, None]).abs() / stretch
    seen = (pixels >= from_[:, None]) & (pixels < to[:, None])
    weights = torch.where(seen, how.weight(distance), torch.zeros_like(distance))
    inside = ((places >= 0) & (places < resized))[:, None]
    total = weights.sum(1, keepdim=True)
    shares = weights / torch.where(inside, total, torch.ones_like(total))
    shares = torch.where(inside, shares, torch.zeros_like(shares))
    return (shares * WEIGHT_STEPS).round() / WEIGHT_STEPS


class PixelPreparation(nn.Module):
    """(b) h w c, bytes -> b c h w, as the processor prepares a picture: within two gray levels of what Pillow makes of
    it. One picture is a batch of one.

    Raises: UserError for a processor that does anything else than resize, cut out the middle or add a border, and
    normalize, or whose filter is none of box, bilinear, bicubic and lanczos.
    """

    def __init__(self, processor: Any, channels: int):
        super().__init__()
        sizing = Sizing.of(processor)
        if sizing is None:
            raise UserError(
                f"{type(processor).__name__} prepares images in a way that does not go into a graph; export without "
                "--preprocessing, and let the processor prepare them."
            )
        if Resampling(sizing.resample) not in FILTERS:
            names = ", ".join(known.name.lower() for known in FILTERS)
            raise UserError(
                f"Images are resized by {Resampling(sizing.resample).name.lower()}, and a graph can do {names}; export "
                "without --preprocessing, or set another `resample` in preprocessor_config.json."
            )
        self.sizing, self.filter = sizing, FILTERS[Resampling(sizing.resample)]
        self.size: tuple[int, int] = sizing.crop or (
            sizing.size if isinstance(sizing.size, tuple) else (sizing.size, sizing.size)
        )
        mean, std = (values.float().reshape(-1, 1, 1) for values in shares_arithmetic(processor))
        self.mean, self.std = nn.Buffer(mean), nn.Buffer(std)
        border = torch.tensor(sizing.border or (0,), dtype=torch.float32)
        self.border = nn.Buffer(border.expand(channels).reshape(-1, 1, 1).clone())

    def forward(self, images: Tensor) -> Tensor:
        rows, columns = (torch.arange(side, dtype=torch.float64) for side in images.shape[-3:-1])
        height, width = rows[-1] + 1, columns[-1] + 1
        resized = self.resized(height, width)
        down, across = (
            resampling_weights(length, after, self.first(after, wanted), wanted, pixels, self.filter)
            for length, after, wanted, pixels in zip((height, width), resized, self.size, (rows, columns), strict=True)
        )
        pixels = rearrange(images.float(), "... h w c -> ... c h w")
        pixels = in_bytes(pixels @ across.float().T)  # across first, and bytes between both, as Pillow
        pixels = in_bytes(down.float() @ pixels)
        if self.sizing.border is not None:
            inside = (down.sum(1)[:, None] * across.sum(1)[None]) > 0.5
            pixels = torch.where(inside, pixels, self.border)
        pixel_values = (pixels / 255 - self.mean) / self.std
        return pixel_values if images.ndim == 4 else pixel_values[None]

    def resized(self, height: Tensor, width: Tensor) -> tuple[Tensor, Tensor]:
        """As `Sizing.resized`, of sizes that are only known when the graph runs."""
        size = self.sizing.size
        if isinstance(size, int):
            longer = (size * torch.maximum(height, width) / torch.minimum(height, width)).floor()
            side = torch.full_like(longer, size)
            return torch.where(height <= width, side, longer), torch.where(height <= width, longer, side)
        if self.sizing.border is None and self.sizing.crop is None:
            return torch.full_like(height, size[0]), torch.full_like(width, size[1])
        down, across = height / size[0], width / size[1]
        ratio = torch.maximum(down, across) if self.sizing.border is not None else torch.minimum(down, across)
        return (height / ratio).round().clamp(min=1), (width / ratio).round().clamp(min=1)

    def first(self, resized: Tensor, wanted: int) -> Tensor:
        """Which pixel of the resized side comes first: as `middle`, or where there is a border `within`."""
        if self.sizing.border is not None:
            return -((wanted - resized) / 2).floor()
        return ((resized - wanted) / 2).round()


def in_bytes(pixels: Tensor) -> Tensor:
    """The nearest gray levels, as Pillow rounds."""
    return (pixels + 0.5).floor().clamp(0, 255)
