"""Plain tables for the terminal."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor

from ..data.batches.dataset import ImageBatches
from ..data.decode.images import with_channels
from ..data.decode.preparation import WHOLE, ClipPreparation
from ..data.decode.videos import Footage, some_frames
from ..data.sources.tables import ImageTable
from ..plots.curves import draw_confusion_matrix
from ..plots.galleries import choose, draw_predictions, film_strip, mistakes
from ..training.metrics import confusion_matrix


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest entry; all but the first to the right."""
    widths = [max(len(str(row[column])) for row in [head, *rows]) for column in range(len(head))]

    def line(row: Sequence[str]) -> str:
        first, *others = [str(entry) for entry in row]
        rest = [entry.rjust(width) for entry, width in zip(others, widths[1:], strict=True)]
        return "  ".join(["", first.ljust(widths[0]), *rest]).rstrip()

    return "\n".join([line(head), line(["-" * width for width in widths]), *map(line, rows)])


EXAMPLES = 10
FRAMES = 4  # of a video that a picture shows
VIDEOS = 12  # that it shows


def headline(metrics: dict[str, Any]) -> str:
    return f"accuracy {metrics['accuracy']:.2%}, loss {metrics['loss']:.4f}"


def figures(metrics: dict[str, Any], things: str = "images") -> str:
    """Every figure, and a line for each class."""
    whole = [
        [
            things if name == "images" else name.replace("_", " "),
            f"{value:,}" if isinstance(value, int) else f"{value:.4f}",
        ]
        for name, value in metrics.items()
        if not isinstance(value, dict)
    ]
    classes = [
        [name, f"{row['precision']:.4f}", f"{row['recall']:.4f}", f"{row['images']:,}"]
        for name, row in metrics["classes"].items()
    ]
    columns = ["class", "precision", "recall", things]
    return f"{table(['figure', 'value'], whole)}\n\n{table(columns, classes)}"


def draw_report(images: ImageBatches, logits: Tensor, names: Sequence[str], folder: Path) -> None:
    """confusion_matrix.png and predictions.png, and mistakes.png where there are any"""
    matrix = confusion_matrix(logits.argmax(-1), images.labels, len(names))
    draw_confusion_matrix(matrix, names, folder / "confusion_matrix.png")
    clips = images.table.clips
    right = choose(logits, images.labels, VIDEOS) if clips else choose(logits, images.labels)
    wrong = mistakes(logits, images.labels)
    galleries = {"predictions.png": right, "mistakes.png": wrong[:VIDEOS] if clips else wrong}
    for file, shown in galleries.items():
        (folder / file).unlink(missing_ok=True)
        if shown:
            pictures = [look(images.table, index) for index in shown]
            how = {"frames": FRAMES if clips else 1}
            draw_predictions(pictures, logits[shown], images.labels[shown], names, folder / file, **how)


def look(table: ImageTable, index: int) -> Image.Image:
    """An image, or some frames of a video, in color."""
    if table.clips:
        return film_strip(some_frames(table.picture(index), FRAMES))
    return with_channels(table.image(index), 3)


def save_examples(images: ImageBatches, names: Sequence[str], folder: Path) -> dict[str, Path]:
    """The first image of each class, of at most ten classes, as files to try predictions on; of videos the frames that
    the model sees, in a folder for each."""
    folder.mkdir(parents=True, exist_ok=True)
    saved = {}
    for label, name in list(enumerate(names))[:EXAMPLES]:
        places = (images.table.labels == label).nonzero()[0]
        if len(places) and isinstance(images.preparation, ClipPreparation):
            saved[name] = folder / str(label)
            save_clip(images.preparation, images.table.picture(int(places[0])), saved[name])
        elif len(places):
            saved[name] = folder / f"{label}.png"
            images.table.image(int(places[0])).convert("RGB").save(saved[name])
    return saved


def save_clip(preparation: ClipPreparation, footage: Footage, folder: Path) -> None:
    """Frame for frame, in a folder: animations would drop a frame that shows what the one before did."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, picture in enumerate(preparation.chosen(footage, WHOLE.place)):
        Image.fromarray(picture.pixels(3)).save(folder / f"{number:03d}.png")
