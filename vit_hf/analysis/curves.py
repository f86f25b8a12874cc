"""The training curve: what the Trainer logged."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .style import BLUE, GREEN, INK, ORANGE, QUIET, new_figure, plain, save

AVERAGED = "averaged weights"


def series(history: Sequence[dict[str, Any]], name: str) -> tuple[list[float], list[float]]:
    """-> epochs, and what was logged under a name at them"""
    rows = [(entry["epoch"], entry[name]) for entry in history if name in entry]
    return [epoch for epoch, _ in rows], [value for _, value in rows]


def draw_training_curve(history: Sequence[dict[str, Any]], path: Path, *, split: str = "test") -> None:
    """Loss, and beside it accuracy where it was measured, over epochs. `history` is the Trainer's `log_history`."""
    measured = any("eval_accuracy" in entry for entry in history)
    figure = new_figure(9, 3.4)
    panels = figure.subplots(1, 2 if measured else 1, squeeze=False)[0]
    draw_loss(panels[0], history, split)
    if measured:
        draw_accuracy(panels[1], history, split)
    for axes in panels:
        plain(axes)
        axes.set_xlabel("epoch", color=INK)
        axes.grid(axis="y", color="#e6eaef", linewidth=0.8)
    save(figure, path)


def draw_loss(axes, history: Sequence[dict[str, Any]], split: str) -> None:
    lines = {"loss": (QUIET, "training"), "eval_loss": (BLUE, split), "eval_ema_loss": (GREEN, AVERAGED)}
    for name, (colour, label) in lines.items():
        epochs, values = series(history, name)
        if values or name == "loss":
            axes.plot(epochs, values, color=colour, linewidth=1.8, label=label, marker="o" if len(epochs) < 3 else None)
    axes.set_yscale("log")
    axes.set_title("Loss", loc="left", color=INK, fontweight="bold")
    axes.legend(frameon=False, fontsize=9)


def draw_accuracy(axes, history: Sequence[dict[str, Any]], split: str) -> None:
    """With the last figure written beside the curve of the weights that the model ends with."""
    lines = {"eval_accuracy": (ORANGE, "weights"), "eval_ema_accuracy": (GREEN, AVERAGED)}
    drawn = {name: series(history, name) for name in lines}
    drawn = {name: (epochs, values) for name, (epochs, values) in drawn.items() if values}
    for name, (epochs, values) in drawn.items():
        colour, label = lines[name]
        axes.plot(epochs, values, color=colour, linewidth=1.8, marker="o", markersize=3, label=label)
    last = list(drawn)[-1]
    epochs, values = drawn[last]
    axes.annotate(
        f"{values[-1]:.2%}",
        (epochs[-1], values[-1]),
        xytext=(0, -14),
        textcoords="offset points",
        ha="right",
        color=lines[last][0],
        fontweight="bold",
    )
    if len(drawn) > 1:
        axes.legend(frameon=False, fontsize=9, loc="lower right")
    axes.set_title(f"Accuracy on the {split} split", loc="left", color=INK, fontweight="bold")
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.3g}%")
    axes.set_ylim(top=min(1.005, max(max(values) for _, values in drawn.values()) + 0.05))
