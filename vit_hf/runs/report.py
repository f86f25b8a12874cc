"""What people are told of a run: tables for the terminal, and pictures of a split."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from ..data.batches.dataset import ImageBatches
from ..plots.curves import draw_confusion_matrix
from ..plots.galleries import choose, draw_predictions, mistakes
from ..training.metrics import confusion_matrix


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest entry; all but the first to the right."""
    widths = [max(len(str(row[column])) for row in [head, *rows]) for column in range(len(head))]

    def line(row: Sequence[str]) -> str:
        first, *others = [str(entry) for entry in row]
        rest = [entry.rjust(width) for entry, width in zip(others, widths[1:], strict=True)]
        return "  ".join(["", first.ljust(widths[0]), *rest]).rstrip()

    return "\n".join([line(head), line(["-" * width for width in widths]), *map(line, rows)])


EXAMPLES_SAVED = 10


def headline(metrics: dict[str, Any]) -> str:
    return f"accuracy {metrics['accuracy']:.2%}, loss {metrics['loss']:.4f}"


def figures(metrics: dict[str, Any], plural: str = "images") -> str:
    """Every figure, and a line for each class."""
    whole = [
        [
            plural if name == "images" else name.replace("_", " "),
            f"{value:,}" if isinstance(value, int) else f"{value:.4f}",
        ]
        for name, value in metrics.items()
        if not isinstance(value, dict)
    ]
    classes = [
        [name, f"{row['precision']:.4f}", f"{row['recall']:.4f}", f"{row['images']:,}"]
        for name, row in metrics["classes"].items()
    ]
    columns = ["class", "precision", "recall", plural]
    return f"{table(['figure', 'value'], whole)}\n\n{table(columns, classes)}"


def draw_report(images: ImageBatches, logits: Tensor, names: Sequence[str], folder: Path) -> None:
    """confusion_matrix.png and predictions.png, and mistakes.png where there are any"""
    matrix = confusion_matrix(logits.argmax(-1), images.labels, len(names))
    draw_confusion_matrix(matrix, names, folder / "confusion_matrix.png")
    modality = images.table.modality
    galleries = {
        "predictions.png": choose(logits, images.labels, modality.shown),
        "mistakes.png": mistakes(logits, images.labels, modality.mistakes_shown),
    }
    for file, shown in galleries.items():
        (folder / file).unlink(missing_ok=True)
        if shown:
            pictures = [modality.draw(images.table.open(index)) for index in shown]
            labels, path = images.labels[shown], folder / file
            draw_predictions(pictures, logits[shown], labels, names, path, frames=modality.frames_shown)


def save_examples(images: ImageBatches, names: Sequence[str], folder: Path) -> dict[str, Path]:
    """The first image or video of each class, of at most ten classes, to try predictions on."""
    folder.mkdir(parents=True, exist_ok=True)
    table, saved = images.table, {}
    for label, name in list(enumerate(names))[:EXAMPLES_SAVED]:
        places = (table.labels == label).nonzero()[0]
        if len(places):
            first = table.open(int(places[0]))
            saved[name] = table.modality.save_example(images.preparation, first, folder / str(label))
    return saved
