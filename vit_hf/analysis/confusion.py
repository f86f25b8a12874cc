"""The confusion matrix: what was taken for what."""

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from .style import INK, QUIET, new_figure, save

NAMED = 40  # classes whose names still have room beside the matrix
COUNTED = 20  # classes whose counts still have room in the squares


def shorten(name: str, length: int = 18) -> str:
    return name if len(name) <= length else name[: length - 1] + "…"


def plain_text(name: str) -> str:
    """Without a meaning for matplotlib, which reads $...$ as mathematics."""
    return name.replace("$", r"\$")


def draw_confusion_matrix(matrix: Tensor, names: Sequence[str], path: Path) -> None:
    """actual predicted: counts, coloured by their share of the actual class."""
    classes = len(names)
    side = min(12.0, 3.2 + 0.34 * classes)
    figure = new_figure(side + 0.6, side)
    axes = figure.subplots()
    shares = matrix / matrix.sum(1, keepdim=True).clamp(min=1)
    # The square root lifts single mistakes out of the white.
    axes.imshow(shares.sqrt().numpy(), cmap="Blues", vmin=0, vmax=1)
    if classes <= COUNTED:
        for row in range(classes):
            for column in range(classes):
                if count := int(matrix[row, column]):
                    colour = "white" if shares[row, column] > 0.3 else INK
                    axes.text(column, row, f"{count:,}", ha="center", va="center", fontsize=8, color=colour)
    if classes <= NAMED:
        shown = [plain_text(shorten(name)) for name in names]
        tilt = 0 if max(map(len, names)) <= 3 else 90
        axes.set_xticks(range(classes), shown, rotation=tilt, fontsize=9)
        axes.set_yticks(range(classes), shown, fontsize=9)
    right, total = int(matrix.diagonal().sum()), int(matrix.sum())
    axes.set_xlabel("predicted", color=INK)
    axes.set_ylabel("actual", color=INK)
    axes.set_title(f"{right:,} of {total:,} right", loc="left", color=INK, fontweight="bold")
    axes.tick_params(length=0, colors=INK)
    for spine in axes.spines.values():
        spine.set_color(QUIET)
    save(figure, path)
