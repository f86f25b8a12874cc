"""The pictures and the figures of a model on one split, for train and evaluate alike."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from ..analysis.confusion import draw_confusion_matrix
from ..analysis.gallery import choose, draw_predictions, mistakes
from ..data.dataset import ImageBatches
from ..data.reading import with_channels
from ..data.tables import ImageTable
from ..training.metrics import confusion_matrix
from .tables import table

EXAMPLES = 10


def headline(metrics: dict[str, Any]) -> str:
    return f"accuracy {metrics['accuracy']:.2%}, loss {metrics['loss']:.4f}"


def figures(metrics: dict[str, Any]) -> str:
    """Every figure, and a line for each class."""
    whole = [
        [name.replace("_", " "), f"{value:,}" if isinstance(value, int) else f"{value:.4f}"]
        for name, value in metrics.items()
        if not isinstance(value, dict)
    ]
    classes = [
        [name, f"{row['precision']:.4f}", f"{row['recall']:.4f}", f"{row['images']:,}"]
        for name, row in metrics["classes"].items()
    ]
    return f"{table(['figure', 'value'], whole)}\n\n{table(['class', 'precision', 'recall', 'images'], classes)}"


def draw_report(images: ImageBatches, logits: Tensor, names: Sequence[str], folder: Path) -> None:
    """confusion_matrix.png and predictions.png, and mistakes.png where there are any"""
    matrix = confusion_matrix(logits.argmax(-1), images.labels, len(names))
    draw_confusion_matrix(matrix, names, folder / "confusion_matrix.png")
    galleries = {"predictions.png": choose(logits, images.labels), "mistakes.png": mistakes(logits, images.labels)}
    for file, shown in galleries.items():
        (folder / file).unlink(missing_ok=True)
        if shown:
            pictures = [with_channels(images.table.image(index), 3) for index in shown]
            draw_predictions(pictures, logits[shown], images.labels[shown], names, folder / file)


def save_examples(images: ImageTable, names: Sequence[str], folder: Path) -> dict[str, Path]:
    """The first image of each class, of at most ten classes, as files to try predictions on."""
    folder.mkdir(parents=True, exist_ok=True)
    saved = {}
    for label, name in list(enumerate(names))[:EXAMPLES]:
        places = (images.labels == label).nonzero()[0]
        if len(places):
            path = folder / f"{label}.png"
            images.image(int(places[0])).convert("RGB").save(path)
            saved[name] = path
    return saved
