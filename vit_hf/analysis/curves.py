"""The training curve: what the Trainer logged."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .style import BLUE, INK, ORANGE, QUIET, new_figure, plain, save


def series(history: Sequence[dict[str, Any]], name: str) -> tuple[list[float], list[float]]:
    """-> epochs, and what was logged under a name at them"""
    rows = [(entry["epoch"], entry[name]) for entry in history if name in entry]
    return [epoch for epoch, _ in rows], [value for _, value in rows]


def draw_training_curve(history: Sequence[dict[str, Any]], path: Path, *, split: str = "test") -> None:
    """Loss on the left, accuracy on the right, over epochs. `history` is the Trainer's `state.log_history`."""
    figure = new_figure(9, 3.4)
    left, right = figure.subplots(1, 2)
    for name, colour, label in (("loss", QUIET, "training (augmented)"), ("eval_loss", BLUE, split)):
        epochs, values = series(history, name)
        left.plot(epochs, values, color=colour, linewidth=1.8, label=label, marker="o" if len(epochs) < 3 else None)
    left.set_yscale("log")
    left.set_title("Loss", loc="left", color=INK, fontweight="bold")
    left.legend(frameon=False, fontsize=9)

    epochs, values = series(history, "eval_accuracy")
    right.plot(epochs, values, color=ORANGE, linewidth=1.8, marker="o", markersize=3)
    right.set_title(f"Accuracy on the {split} split", loc="left", color=INK, fontweight="bold")
    right.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.3g}%")
    if values:
        right.annotate(
            f"{values[-1]:.2%}",
            (epochs[-1], values[-1]),
            xytext=(0, -14),
            textcoords="offset points",
            ha="right",
            color=ORANGE,
            fontweight="bold",
        )
        right.set_ylim(top=min(1.005, max(values) + 0.05))
    for axes in (left, right):
        plain(axes)
        axes.set_xlabel("epoch", color=INK)
        axes.grid(axis="y", color="#e6eaef", linewidth=0.8)
    save(figure, path)
