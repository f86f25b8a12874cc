"""Grids of images as a model sees them."""

from collections.abc import Sequence
from pathlib import Path

from einops import rearrange
from torch import Tensor
from torch.nn import functional

from .confusion import plain_text, shorten
from .style import INK, new_figure, save

COLUMNS = 8


def show(axes, pixels: Tensor) -> None:
    """c h w, from 0 to 1; of other numbers of channels than 3 the first."""
    image = pixels.float().clamp(0, 1)
    image = image if len(image) == 3 else image[:1].expand(3, -1, -1)
    axes.set(xticks=[], yticks=[])
    axes.imshow(rearrange(image, "c h w -> h w c").numpy(), interpolation="nearest")


def draw_samples(pixels: Tensor, names: Sequence[str], path: Path, *, title: str) -> None:
    """b c h w, from 0 to 1, eight in a row, each under its label; or b t c h w, whose frames lie side by side."""
    frames = pixels.shape[1] if pixels.ndim == 5 else 1
    if pixels.ndim == 5:
        pixels = rearrange(functional.pad(pixels, (0, 1), value=1.0), "b t c h w -> b c h (t w)")
    columns = max(1, COLUMNS // frames)
    rows = -(-len(pixels) // columns)
    figure = new_figure(1.35 * columns * frames, 1.55 * rows + 0.3)
    grid = figure.subplots(rows, columns, squeeze=False).flatten()
    for axes in grid:
        axes.set_axis_off()
    for axes, image, name in zip(grid, pixels, names, strict=False):
        show(axes, image)
        axes.set_title(plain_text(shorten(name, 16)), fontsize=9, color=INK, pad=4)
    figure.suptitle(title, x=0.01, ha="left", fontsize=10, color=INK)
    save(figure, path)


def draw_reconstructions(images: Tensor, hidden: Tensor, painted: Tensor, path: Path) -> None:
    """Three rows of b c h w, from 0 to 1."""
    figure = new_figure(1.35 * len(images), 4.4)
    grid = figure.subplots(3, len(images), squeeze=False)
    for row, (name, batch) in enumerate({"image": images, "hidden": hidden, "painted": painted}.items()):
        for axes, image in zip(grid[row], batch, strict=True):
            show(axes, image)
        grid[row][0].set_ylabel(name, color=INK)
    save(figure, path)
