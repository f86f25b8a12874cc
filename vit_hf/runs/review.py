"""What to look at before a model is believed: images that parts of the split share, classes that are mixed up, and
labels that are probably wrong.
"""

import csv
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from ..data.cut_duplicates import cut_duplicates
from ..data.duplicates import kept_grays, near_duplicates
from ..data.sources.tables import ImageTable
from ..plots.pages import PictureRow, Thumbnail, write_page
from ..training.calibration import MULTI_LABEL
from ..training.label_errors import suspected_labels
from ..training.metrics.single_label import confusion_matrix
from .prepared_run import PreparedRun

CONFUSIONS, LABEL_ERRORS, LABEL_ERROR_PICTURES = "confusions.html", "label_errors.csv", "label_errors.html"
PAIRS_SHOWN, OF_EACH = 6, 6  # pairs of classes, and images of each of the two mistakes
SUSPECTS_SHOWN = 48


class Judged(NamedTuple):
    """Images or videos with labels that a model did not learn from, and what it says of them: logits b labels."""

    table: ImageTable
    logits: Tensor


def name_duplicates(run: PreparedRun) -> None:
    """Before training, and once for all processes: which images are nearly the same in two parts of the split; noted in
    the run too."""
    parts = {part: run.batches[part] for part in ("train", "validation", "test") if part in run.batches}
    if not run.modality.compared or len(parts) < 2 or run.arguments.process_index:
        return
    tables = {part: batches.table for part, batches in parts.items()}
    run.duplicates = near_duplicates(tables, grays=kept_grays(parts))
    for line in run.duplicates.describe():
        print(line, flush=True)


def name_cut_duplicates(run: PreparedRun, features: Mapping[str, Tensor]) -> None:
    """The same of images that are cut out of each other, by what a pretrained model sees in each of them.

    features: n d, of each part.
    """
    if not run.modality.compared or run.arguments.process_index:
        return
    known = {(pair.part, pair.name) for pair in run.duplicates.pairs} if run.duplicates else ()
    tables = {part: run.batches[part].table for part in features}
    vectors = {part: each.numpy() for part, each in features.items()}
    for line in cut_duplicates(tables, vectors, known=known).describe():
        print(line, flush=True)


def review(
    judged: Mapping[str, Judged], names: Sequence[str], folder: Path, *, split: str, problem_type: str | None = None
) -> list[str]:
    """confusions.html of a split, and label_errors.csv and label_errors.html of all that was judged; what there is no
    reason for is removed. -> a sentence for each file. A regression has neither.

    judged: by the name of the split, or of the fold.
    """
    for name in (CONFUSIONS, LABEL_ERRORS, LABEL_ERROR_PICTURES):
        (folder / name).unlink(missing_ok=True)
    if problem_type == "regression":
        return []
    lines = [] if problem_type == MULTI_LABEL else write_confusions(judged[split], names, folder, split)
    return lines + write_label_errors([*judged.values()], names, folder, problem_type)


def confused_pairs(predicted: Tensor, labels: Tensor, classes: int) -> list[tuple[int, int]]:
    """b, b -> pairs of classes that were taken for each other, the most often mixed up first"""
    matrix = confusion_matrix(predicted, labels, classes)
    both = (matrix + matrix.T).triu(1).flatten()
    order = both.argsort(descending=True, stable=True)[: int((both > 0).sum())]
    return [(int(place) // classes, int(place) % classes) for place in order]


def write_confusions(judged: Judged, names: Sequence[str], folder: Path, split: str) -> list[str]:
    table, (confidence, predicted) = judged.table, judged.logits.softmax(-1).max(-1)
    labels = torch.from_numpy(table.labels)
    pairs = confused_pairs(predicted, labels, len(names))
    sections = []
    for pair in pairs[:PAIRS_SHOWN]:
        for actual, called in (pair, pair[::-1]):
            rows = ((labels == actual) & (predicted == called)).nonzero()[:, 0]
            surest = rows[confidence[rows].argsort(descending=True, stable=True)][:OF_EACH].tolist()
            if surest:
                heading = f"{names[actual]}, called {names[called]}: {len(rows):,} of {int((labels == actual).sum()):,}"
                captions = [f"{float(confidence[row]):.0%} {names[called]}" for row in surest]
                sections.append(PictureRow(heading, thumbnails(table, surest, captions)))
    if not sections:
        return []
    shown = f"The {min(PAIRS_SHOWN, len(pairs))} of {len(pairs)} pairs of classes that are mixed up most"
    introduction = f"{shown}, in the {split} split; of each mistake the {table.modality.plural} the model is surest of."
    write_page(folder / CONFUSIONS, "Classes that are mixed up", introduction, sections)
    one, other = (names[label] for label in pairs[0])
    return [f"Mixed up most are {one} and {other}; see {folder / CONFUSIONS}."]


def write_label_errors(
    judged: Sequence[Judged], names: Sequence[str], folder: Path, problem_type: str | None = None
) -> list[str]:
    """label_errors.csv, the surest first, and its first entries as pictures. Names of files stand in both: they are for
    who has the data, and no part of what is published."""
    places = [(one.table, row) for one in judged for row in range(len(one.table))]
    labels = torch.cat([torch.from_numpy(one.table.labels) for one in judged])
    logits = torch.cat([one.logits.float() for one in judged])
    found = suspected_labels(logits, labels, problem_type)
    if not len(found):
        return []
    rows, shown = [], []
    for index, label, suggested, confidence in zip(
        found.rows.tolist(), found.label.tolist(), found.suggested.tolist(), found.confidence.tolist(), strict=True
    ):
        table, row = places[index]
        given, better = names[label], names[suggested]
        if problem_type == MULTI_LABEL:
            given, better = (given, f"no {given}") if labels[index, label] else (f"no {given}", given)
        rows.append([table.name_of(row), given, better, f"{confidence:.4f}"])
        if len(shown) < SUSPECTS_SHOWN:
            shown += thumbnails(table, [row], [f"{given}; rather {better} ({confidence:.0%})"])
    with (folder / LABEL_ERRORS).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["name", "label", "suggested", "confidence"], *rows])
    said = (logits > 0) if problem_type == MULTI_LABEL else logits.argmax(-1)
    agreed = float((said == labels).float().mean())
    contradict = (
        f"{len(rows):,} of {labels.numel():,} labels contradict a model that did not learn from them and agrees with "
        f"{agreed:.1%} of all"
    )
    where = f"the surest {len(shown)} are here, all of them in {LABEL_ERRORS}"
    introduction = f"{contradict}; {where}. Which of the two is wrong has to be looked at."
    title = "Labels that contradict the model"
    write_page(folder / LABEL_ERROR_PICTURES, title, introduction, [PictureRow("", shown)])
    return [f"{contradict}; the surest are in {folder / LABEL_ERROR_PICTURES}."]


def thumbnails(table: ImageTable, rows: Sequence[int], captions: Sequence[str]) -> list[Thumbnail]:
    def draw(row: int):
        return table.modality.draw(table.open(row))

    return [
        Thumbnail(partial(draw, row), caption, table.name_of(row)) for row, caption in zip(rows, captions, strict=True)
    ]
