"""One look for every picture."""

from pathlib import Path

from matplotlib.figure import Figure

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


def save(figure: Figure, path: Path) -> None:
    figure.savefig(path, dpi=144)
