"""A grid of images with predictions; wrong ones are marked, and come first."""

from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from .confusion import plain_text, shorten
from .style import GREEN, INK, RED, new_figure, save

COLUMNS, ROWS = 8, 4


def choose(logits: Tensor, labels: Tensor, count: int = COLUMNS * ROWS) -> list[int]:
    """At most a quarter wrong ones, the most confident first, and then right ones evenly over the split."""
    predicted = logits.argmax(-1)
    wrong = mistakes(logits, labels, count // 4)
    right = (predicted == labels).nonzero().flatten()
    wanted = min(count - len(wrong), len(right))
    right = right[torch.linspace(0, max(len(right) - 1, 0), wanted).round().long()]
    return wrong + right.tolist()


def mistakes(logits: Tensor, labels: Tensor, count: int = 2 * COLUMNS) -> list[int]:
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
    across = COLUMNS // frames
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
        colour = RED if wrong else GREEN
        text = f"{plain_text(shorten(names[int(best)], 14))}  {float(share):.0%}"
        if wrong:
            text += f"\nis {plain_text(shorten(names[int(label)], 14))}"
        axes.set_title(text, fontsize=9, color=colour, fontweight="bold" if wrong else "normal", pad=4)
        for spine in axes.spines.values():
            spine.set(color=colour, linewidth=3 if wrong else 1)
    figure.suptitle("Predicted label and probability; wrong ones in red", x=0.01, ha="left", fontsize=10, color=INK)
    save(figure, path)
