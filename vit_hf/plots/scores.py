"""Of several labels how well each is named, and of numbers how near they come."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from .curves import BLUE, INK, QUIET, new_figure, plain, plain_text, save, shorten

LABELS_DRAWN = 40  # of more the worst half and the best
POINTS_DRAWN = 5000  # evenly over the split
TARGETS_DRAWN = 12


def draw_label_scores(rows: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """A bar for the F1 of each label, the best first, and behind its name the images that have it. Of many labels the
    best and the worst. rows: as `measure` gives them in "classes".
    """
    ordered = sorted(rows.items(), key=lambda item: -item[1]["f1"])
    half = LABELS_DRAWN // 2
    drawn = ordered if len(ordered) <= LABELS_DRAWN else [*ordered[:half], *ordered[-half:]]
    figure = new_figure(7, 1.0 + 0.26 * len(drawn))
    axes = figure.subplots()
    places = np.arange(len(drawn))
    axes.barh(places, [row["f1"] for _, row in drawn], color=BLUE, height=0.7)
    axes.set_yticks(places, [f"{plain_text(shorten(name))} ({row['images']:,})" for name, row in drawn])
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    left = f", {LABELS_DRAWN} of {len(ordered):,} labels" if len(ordered) > LABELS_DRAWN else ""
    axes.set_title(f"F1 of each label (images that have it){left}", loc="left", color=INK, fontweight="bold")
    plain(axes)
    save(figure, path)


def draw_predicted_and_true(outputs: Tensor, labels: Tensor, names: Sequence[str], path: Path) -> None:
    """b targets, b targets: for each target what is predicted over what is true, which on the line is the same"""
    labels = labels.reshape(len(labels), -1)
    rows = np.linspace(0, len(labels) - 1, min(POINTS_DRAWN, len(labels))).astype(int)
    drawn = list(names)[:TARGETS_DRAWN]
    columns = min(3, len(drawn))
    lines = -(-len(drawn) // columns)
    figure = new_figure(3.6 * columns, 3.6 * lines)
    grid = figure.subplots(lines, columns, squeeze=False).flatten()
    for axes in grid[len(drawn) :]:
        axes.set_axis_off()
    for place, (axes, name) in enumerate(zip(grid, drawn, strict=False)):
        said, true = outputs[rows, place].float().numpy(), labels[rows, place].float().numpy()
        ends = [min(said.min(), true.min()), max(said.max(), true.max())]
        axes.plot(ends, ends, color=QUIET, linewidth=1)
        axes.scatter(true, said, s=8, color=BLUE, alpha=0.4, linewidths=0)
        axes.set_xlabel("true", color=INK)
        axes.set_ylabel("predicted", color=INK)
        axes.set_title(plain_text(shorten(name)), loc="left", color=INK, fontweight="bold")
        plain(axes)
    save(figure, path)
