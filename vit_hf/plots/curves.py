"""One look for every picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from torch import Tensor

from ..training.problem import SHARE_FIGURES, shown, title_of

INK = "#1f2933"
QUIET = "#8794a5"
BLUE = "#2563a8"
ORANGE = "#d9722e"
RED = "#c0262d"
GREEN = "#2e7d4f"


def new_figure(width: float, height: float) -> Figure:
    """Inches; apart from pyplot, which keeps every figure alive and wants a screen."""
    return Figure(figsize=(width, height), layout="constrained", facecolor="white")


def plain(axes) -> None:
    """No frame but the two axes that carry numbers."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(QUIET)
    axes.tick_params(colors=INK, labelsize=9)


def save(figure: Figure, path: Path, *, dpi: int = 144) -> None:
    figure.savefig(path, dpi=dpi, pil_kwargs={"optimize": True})


AVERAGED = "averaged weights"


def series(history: Sequence[dict[str, Any]], name: str) -> tuple[list[float], list[float]]:
    """-> epochs, and what was logged under a name at them"""
    rows = [(entry["epoch"], entry[name]) for entry in history if name in entry]
    return [epoch for epoch, _ in rows], [value for _, value in rows]


def draw_training_curve(
    history: Sequence[dict[str, Any]], path: Path, *, split: str = "test", headline: str = "accuracy"
) -> None:
    """Loss, and beside it the headline where it was measured, over epochs. `history` is the Trainer's `log_history`."""
    measured = any(f"eval_{headline}" in entry for entry in history)
    figure = new_figure(9, 3.4)
    panels = figure.subplots(1, 2 if measured else 1, squeeze=False)[0]
    draw_loss(panels[0], history, split)
    if measured:
        draw_figure(panels[1], history, split, headline)
    for axes in panels:
        plain(axes)
        axes.set_xlabel("epoch", color=INK)
        axes.grid(axis="y", color="#e6eaef", linewidth=0.8)
    save(figure, path)


def draw_loss(axes, history: Sequence[dict[str, Any]], split: str) -> None:
    lines = {"loss": (QUIET, "training"), "eval_loss": (BLUE, split), "eval_ema_loss": (GREEN, AVERAGED)}
    for name, (color, label) in lines.items():
        epochs, values = series(history, name)
        if values or name == "loss":
            axes.plot(epochs, values, color=color, linewidth=1.8, label=label, marker="o" if len(epochs) < 3 else None)
    axes.set_yscale("log")
    axes.set_title("Loss", loc="left", color=INK, fontweight="bold")
    axes.legend(frameon=False, fontsize=9)


def draw_figure(axes, history: Sequence[dict[str, Any]], split: str, headline: str) -> None:
    """With the last one written beside the curve of the weights that the model ends with."""
    lines = {f"eval_{headline}": (ORANGE, "weights"), f"eval_ema_{headline}": (GREEN, AVERAGED)}
    drawn = {name: series(history, name) for name in lines}
    drawn = {name: (epochs, values) for name, (epochs, values) in drawn.items() if values}
    for name, (epochs, values) in drawn.items():
        color, label = lines[name]
        axes.plot(epochs, values, color=color, linewidth=1.8, marker="o", markersize=3, label=label)
    last = list(drawn)[-1]
    epochs, values = drawn[last]
    axes.annotate(
        shown(headline, values[-1]),
        (epochs[-1], values[-1]),
        xytext=(0, -14),
        textcoords="offset points",
        ha="right",
        color=lines[last][0],
        fontweight="bold",
    )
    if len(drawn) > 1:
        axes.legend(frameon=False, fontsize=9, loc="lower right")
    axes.set_title(f"{title_of(headline)} on the {split} split", loc="left", color=INK, fontweight="bold")
    if headline in SHARE_FIGURES:
        axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.3g}%")
        axes.set_ylim(top=min(1.005, max(max(values) for _, values in drawn.values()) + 0.05))


NAMED = 40  # classes whose names still have room beside the matrix
COUNTED = 20  # classes whose counts still have room in the squares


def shorten(name: str, length: int = 18) -> str:
    return name if len(name) <= length else name[: length - 1] + "…"


def plain_text(name: str) -> str:
    """Without a meaning for matplotlib, which reads $...$ as mathematics."""
    return name.replace("$", r"\$")


def draw_confusion_matrix(matrix: Tensor, names: Sequence[str], path: Path) -> None:
    """actual predicted: counts, colored by their share of the actual class."""
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
                    color = "white" if shares[row, column] > 0.3 else INK
                    axes.text(column, row, f"{count:,}", ha="center", va="center", fontsize=8, color=color)
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
