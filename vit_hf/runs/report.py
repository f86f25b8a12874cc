"""What people are told of a run: tables for the terminal, and pictures of a split."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from ..data.batches.dataset import ImageBatches
from ..data.settings import ProblemType
from ..plots.curves import draw_confusion_matrix
from ..plots.galleries import choose, draw_predictions, mistakes
from ..plots.scores import draw_label_scores, draw_predicted_and_true
from ..training.metrics.measure import measure
from ..training.metrics.single_label import confusion_matrix
from ..training.problem import in_digits, shown, title_of


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest entry; all but the first to the right."""
    widths = [max(len(str(row[column])) for row in [head, *rows]) for column in range(len(head))]

    def line(row: Sequence[str]) -> str:
        first, *others = [str(entry) for entry in row]
        rest = [entry.rjust(width) for entry, width in zip(others, widths[1:], strict=True)]
        return "  ".join(["", first.ljust(widths[0]), *rest]).rstrip()

    return "\n".join([line(head), line(["-" * width for width in widths]), *map(line, rows)])


EXAMPLES_SAVED = 10


SAID_WITH = {
    "accuracy": ("loss",),
    "balanced_accuracy": ("macro_f1", "accuracy", "loss"),
    "macro_f1": ("average_precision", "exact_match", "loss"),
    "mae": ("rmse", "r2"),
}


def headline(metrics: dict[str, Any], figure: str = "accuracy") -> str:
    """The figure by which the model is judged, and what is said with it."""
    names = [figure, *SAID_WITH[figure]]
    return ", ".join(f"{uncapitalized(name)} {shown(name, metrics[name])}" for name in names)


def uncapitalized(figure: str) -> str:
    """Macro F1 -> macro F1; AUROC and R² as they are"""
    title = title_of(figure)
    return title if title[1:2].isupper() or len(title) < 3 else title[0].lower() + title[1:]


def figures(metrics: dict[str, Any], plural: str = "images", intervals: dict[str, Any] | None = None) -> str:
    """Every figure, with its interval where there are any, and a line for each class, label or target."""
    known = intervals or {}
    whole = [
        [
            plural if name == "images" else uncapitalized(name),
            f"{value:,}" if isinstance(value, int) else number_or_dash(value),
            span(known.get(name)),
        ]
        for name, value in metrics.items()
        if not isinstance(value, dict)
    ]
    rows = metrics["classes"]
    names = [name for name in next(iter(rows.values())) if name != "images"]
    classes = [[name, *(number_or_dash(row[one]) for one in names), f"{row['images']:,}"] for name, row in rows.items()]
    columns = ["class", *(SHORT.get(name, uncapitalized(name)) for name in names), plural]
    width = 3 if intervals else 2
    head = ["figure", "value", "95% interval"][:width]
    return f"{table(head, [row[:width] for row in whole])}\n\n{table(columns, classes)}"


# In the head of a column.
SHORT = {"average_precision": "AP", "mae": "MAE", "rmse": "RMSE", "pearson": "Pearson", "spearman": "Spearman"}


def number_or_dash(value: float | None) -> str:
    return "–" if value is None else in_digits(value)


def span(interval: Any) -> str:
    return f"{in_digits(interval[0])} to {in_digits(interval[1])}" if interval else ""


def draw_report(
    images: ImageBatches,
    logits: Tensor,
    names: Sequence[str],
    folder: Path,
    problem_type: ProblemType = "single_label_classification",
    metrics: dict[str, Any] | None = None,
) -> list[str]:
    """Pictures that fit the problem, in place of those of an earlier report. -> their names

    Of one class of each image confusion_matrix.png and predictions.png, and mistakes.png where there are any; of
    several labels label_scores.png; of numbers predicted_and_true.png. metrics: as measured, of which labels are drawn.
    """
    for file in PICTURES_OF_A_SPLIT:
        (folder / file).unlink(missing_ok=True)
    if problem_type == "regression":
        draw_predicted_and_true(logits, images.labels, names, folder / "predicted_and_true.png")
    elif problem_type == "multi_label_classification":
        scores = metrics or measure(logits, images.labels, problem_type, names)
        draw_label_scores(scores["classes"], folder / "label_scores.png")
    else:
        draw_classes(images, logits, names, folder)
    return [file for file in PICTURES_OF_A_SPLIT if (folder / file).is_file()]


PICTURES_OF_A_SPLIT = (
    "confusion_matrix.png",
    "predictions.png",
    "mistakes.png",
    "label_scores.png",
    "predicted_and_true.png",
)


def draw_classes(images: ImageBatches, logits: Tensor, names: Sequence[str], folder: Path) -> None:
    """confusion_matrix.png and predictions.png, and mistakes.png where there are any"""
    matrix = confusion_matrix(logits.argmax(-1), images.labels, len(names))
    draw_confusion_matrix(matrix, names, folder / "confusion_matrix.png")
    modality = images.table.modality
    galleries = {
        "predictions.png": choose(logits, images.labels, modality.shown),
        "mistakes.png": mistakes(logits, images.labels, modality.mistakes_shown),
    }
    for file, chosen in galleries.items():
        if chosen:
            pictures = [modality.draw(images.table.open(index)) for index in chosen]
            labels, path = images.labels[chosen], folder / file
            draw_predictions(pictures, logits[chosen], labels, names, path, frames=modality.frames_shown)


def save_examples(
    images: ImageBatches,
    names: Sequence[str],
    folder: Path,
    problem_type: ProblemType = "single_label_classification",
) -> dict[str, Path]:
    """To try predictions on: the first image or video of each class or label, of at most ten; of numbers ten of them,
    evenly over the split. -> where each is, by its label or its numbers
    """
    folder.mkdir(parents=True, exist_ok=True)
    table, saved = images.table, {}
    for number, (label, row) in enumerate(examples_of(table.labels, names, problem_type)):
        first = table.open(row)
        saved[label] = table.modality.save_example(images.preparation, first, folder / str(number))
    return saved


def examples_of(labels: np.ndarray, names: Sequence[str], problem_type: ProblemType) -> list[tuple[str, int]]:
    """-> labels as people read them, each with a row that has it"""
    if problem_type == "regression":
        rows = np.linspace(0, len(labels) - 1, min(EXAMPLES_SAVED, len(labels))).astype(int).tolist()
        said = [
            ", ".join(f"{name} {number:.4g}" for name, number in zip(names, labels[row], strict=True)) for row in rows
        ]
        return list(zip(said, rows, strict=True))
    there = [labels == place if labels.ndim == 1 else labels[:, place] > 0.5 for place in range(len(names))]
    few = list(zip(names, there, strict=True))[:EXAMPLES_SAVED]
    return [(name, int(own.argmax())) for name, own in few if own.any()]
