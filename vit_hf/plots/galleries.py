"""Grids of images as a model sees them."""

from collections.abc import Sequence
from pathlib import Path

import torch
from einops import rearrange
from PIL import Image
from torch import Tensor
from torch.nn import functional

from .curves import GREEN, INK, RED, new_figure, plain_text, save, shorten

COLUMNS_OF_PICTURES = 8


def in_color(pixels: Tensor) -> Tensor:
    """c h w -> 3 h w, from 0 to 1; of other numbers of channels than 3 the first."""
    image = pixels.float().clamp(0, 1)
    return image if len(image) == 3 else image[:1].expand(3, -1, -1)


def show(axes, pixels: Tensor) -> None:
    """c h w, as `in_color`"""
    axes.set(xticks=[], yticks=[])
    axes.imshow(rearrange(in_color(pixels), "c h w -> h w c").numpy(), interpolation="nearest")


PIXELS_AN_INCH = 96  # photos do not compress, and a card should load at once


def film_strips(clips: Tensor) -> Tensor:
    """b t c h w -> b c h (t w): frames side by side, from 0 to 1, with a white line behind each"""
    return rearrange(functional.pad(clips, (0, 1), value=1.0), "b t c h w -> b c h (t w)")


def draw_samples(pixels: Tensor, names: Sequence[str], path: Path, *, title: str, frames: int = 1) -> None:
    """b c h w, from 0 to 1, each under its label: eight in a row, or fewer film strips of so many frames."""
    columns = max(1, COLUMNS_OF_PICTURES // frames)
    rows = -(-len(pixels) // columns)
    figure = new_figure(1.35 * columns * frames, 1.55 * rows + 0.3)
    grid = figure.subplots(rows, columns, squeeze=False).flatten()
    for axes in grid:
        axes.set_axis_off()
    for axes, image, name in zip(grid, pixels, names, strict=False):
        show(axes, image)
        axes.set_title(plain_text(shorten(name, 16)), fontsize=9, color=INK, pad=4)
    figure.suptitle(title, x=0.01, ha="left", fontsize=10, color=INK)
    save(figure, path, dpi=PIXELS_AN_INCH)


def draw_reconstructions(images: Tensor, hidden: Tensor, painted: Tensor, path: Path) -> None:
    """Three rows of b c h w, from 0 to 1."""
    figure = new_figure(1.35 * len(images), 4.4)
    grid = figure.subplots(3, len(images), squeeze=False)
    for row, (name, batch) in enumerate({"image": images, "hidden": hidden, "painted": painted}.items()):
        for axes, image in zip(grid[row], batch, strict=True):
            show(axes, image)
        grid[row][0].set_ylabel(name, color=INK)
    save(figure, path, dpi=PIXELS_AN_INCH)


COLUMNS_OF_PICTURES, ROWS = 8, 4


def choose(logits: Tensor, labels: Tensor, count: int = COLUMNS_OF_PICTURES * ROWS) -> list[int]:
    """At most a quarter wrong ones, the most confident first, and then right ones evenly over the split."""
    predicted = logits.argmax(-1)
    wrong = mistakes(logits, labels, count // 4)
    right = (predicted == labels).nonzero().flatten()
    wanted = min(count - len(wrong), len(right))
    right = right[torch.linspace(0, max(len(right) - 1, 0), wanted).round().long()]
    return wrong + right.tolist()


def mistakes(logits: Tensor, labels: Tensor, count: int = 2 * COLUMNS_OF_PICTURES) -> list[int]:
    """The wrong ones, those first of which the model was surest."""
    confidence, predicted = logits.softmax(-1).max(-1)
    wrong = (predicted != labels).nonzero().flatten()
    return wrong[confidence[wrong].argsort(descending=True)][:count].tolist()


def film_strip(frames: Sequence[Image.Image]) -> Image.Image:
    """Frames of one video side by side, with a white line between them."""
    width, height = frames[0].size
    gap = max(1, width // 40)
    strip = Image.new("RGB", (len(frames) * (width + gap) - gap, height), "white")
    for number, frame in enumerate(frames):
        strip.paste(frame.resize((width, height)), (number * (width + gap), 0))
    return strip


def draw_predictions(
    images: Sequence[Image.Image], logits: Tensor, labels: Tensor, names: Sequence[str], path: Path, *, frames: int = 1
) -> None:
    """The images of `choose`, in that order, with logits and labels of just these.

    frames: of which each is a film strip.
    """
    across = COLUMNS_OF_PICTURES // frames
    columns = min(across, max(len(images), across // 2))  # the heading is as wide as half of them
    rows = -(-len(images) // columns)
    figure = new_figure(1.35 * frames * columns, 1.62 * rows + 0.3)
    grid = figure.subplots(rows, columns, squeeze=False).flatten()
    confidence, predicted = logits.softmax(-1).max(-1)
    for axes in grid:
        axes.set_axis_off()
    for axes, image, best, share, label in zip(grid, images, predicted, confidence, labels, strict=False):
        axes.set_axis_on()
        axes.set(xticks=[], yticks=[])
        # Squares of eight pixels hide from the eye what smoothing shows it.
        axes.imshow(image, interpolation="bicubic" if max(image.size) < 64 * frames else "antialiased")
        wrong = int(best) != int(label)
        color = RED if wrong else GREEN
        text = f"{plain_text(shorten(names[int(best)], 14))}  {float(share):.0%}"
        if wrong:
            text += f"\nis {plain_text(shorten(names[int(label)], 14))}"
        axes.set_title(text, fontsize=9, color=color, fontweight="bold" if wrong else "normal", pad=4)
        for spine in axes.spines.values():
            spine.set(color=color, linewidth=3 if wrong else 1)
    figure.suptitle("Predicted label and probability; wrong ones in red", x=0.01, ha="left", fontsize=10, color=INK)
    save(figure, path, dpi=PIXELS_AN_INCH)
