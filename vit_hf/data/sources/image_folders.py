"""A folder of class folders, in whatever layout, as data: photos/cat/1.jpg is a cat, and videos/wave/1/ a wave."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...errors import UserError, first_few
from ...modality import IMAGE, Modality
from ..settings import DataSettings, ProblemType
from .folders import Folder, scan
from .layouts import read_layout
from .readings import Classes, LayoutReading
from .tables import ImageData, ImageTable

LAYOUT_WORDS = {
    "classes": "class folders",
    "splits": "folders of splits with class folders in them",
    "classes_of_splits": "class folders with folders of splits in them",
}


def path_of(item: str, name: str) -> Path:
    return Path(item)


def name_file(item: str, row: int) -> str:
    return item


def table_of_files(
    paths: list[str], labels: object, *, modality: Modality, check_finite: bool, groups: list[str] | None = None
) -> ImageTable:
    finite = {"check_finite": check_finite, "modality": modality, "groups": groups}
    return ImageTable.of(paths, labels, source=path_of, name=name_file, **finite)


def without_labels(paths: list[str], *, modality: Modality, check_finite: bool) -> ImageTable | None:
    """Items whose labels are -1, for predict; None of none."""
    labels = np.full(len(paths), -1)
    return table_of_files(paths, labels, modality=modality, check_finite=check_finite) if paths else None


def folder_below(item: str, above: str) -> str | None:
    """The first folder under the class folder on the way to an item; None where it lies in the class folder itself."""
    first, deeper, _ = os.path.relpath(item, above).partition(os.sep)
    return first if deeper else None


def refuse_mixed(folder: Folder, settings: DataSettings) -> None:
    """Raises: UserError where images lie among films."""
    if (mixed := next(folder.mixed_ones(), None)) is not None:
        few = first_few([os.path.basename(path) for path in mixed.items_here], 3)  # noqa: PTH119
        raise UserError(
            f"{mixed.path} holds images and films, {few}: "
            'are they frames of one video? Then say which, as in --data.frames "img_*.jpg", which passes over other '
            "images and films beside them; or put them into folders of their own."
        )


def table_of_split(
    classes: Classes, label_names: Sequence[str], settings: DataSettings, modality: Modality
) -> ImageTable:
    """The items of the class folders of a split, class after class."""
    paths: list[str] = []
    counts = np.zeros(len(label_names), dtype=np.int64)
    groups: list[str] | None = [] if settings.group_by == "folder" else None
    for label, name in enumerate(label_names):
        for folder in classes.get(name, []):
            refuse_mixed(folder, settings)
            items = folder.items()
            paths += items
            counts[label] += len(items)
            if groups is not None:  # an item without such a folder is a group of its own
                groups += [folder_below(item, folder.path) or item for item in items]
    if groups is not None and groups == paths:
        raise UserError(
            f"data.group_by folder: no {modality.noun} of {settings.name} lies in a folder below its class; leave it "
            "out, or give a table with --data.group_column."
        )
    labels = np.repeat(np.arange(len(label_names)), counts)
    return table_of_files(paths, labels, modality=modality, check_finite=settings.check_finite, groups=groups)


def data_of_reading(reading: LayoutReading, tree: Folder, settings: DataSettings, modality: Modality) -> ImageData:
    names = reading.label_names
    splits = {split: table_of_split(classes, names, settings, modality) for split, classes in reading.parts.items()}
    aside = [item for folder in reading.unlabeled for item in folder.items()]
    unlabeled = without_labels(aside, modality=modality, check_finite=settings.check_finite)
    kept = sum(map(len, splits.values())) + len(aside)
    left = sum(folder.count for folder in reading.left)
    passed = [f"the folder {folder.path} ({modality.counted(folder.count)})" for folder in reading.left]
    if loose := tree.count - kept - left:
        passed.append(f"{modality.counted(loose)} outside of class folders")
    where = f" (in {reading.root.path})" if reading.root.path != tree.path else ""
    lines = understood(
        f"{settings.name}: {LAYOUT_WORDS[reading.layout]}{where}",
        splits,
        names,
        "single_label_classification",
        modality,
        others=tree.other_files(),
        passed=passed,
        aside=[folder.name for folder in reading.unlabeled],
        set_aside=len(aside),
    )
    return ImageData(splits, names, unlabeled=unlabeled, understood=lines)


def understood(
    how: str,
    splits: dict[str, ImageTable],
    names: Sequence[str],
    problem_type: ProblemType,
    modality: Modality,
    *,
    others: Sequence[str] = (),
    passed: Sequence[str] = (),
    aside: Sequence[str] = (),
    set_aside: int = 0,
) -> list[str]:
    """How data was read, in a line; and what of it was not used, in another where there is such.

    others: files that are no items. passed: what else was passed over, in words. aside: what was set aside, by name.
    """
    first = next(iter(splits.values()))
    counts = ", ".join(f"{len(table):,} to {split}" for split, table in splits.items())
    if problem_type == "regression":
        labels = f"{len(names)} number{'s' * (len(names) > 1)} to predict (regression): {first_few(names)}"
    else:
        each = first.class_counts(len(names))
        kind = "classes, of which each has one" if problem_type.startswith("single") else "labels, any number on each"
        few = first_few([f"{name} {count:,}" for name, count in zip(names, each, strict=True)])
        labels = f"{len(names)} {kind} ({problem_type}): {few}"
    lines = [f"{how}; {modality.plural}: {counts}; {labels}."]
    unused = [*passed]
    if others:
        examples = first_few(dict.fromkeys(os.path.basename(name) for name in others), 3)  # noqa: PTH119
        kind = f"file that is no {modality.noun}" if len(others) == 1 else f"files that are no {modality.plural}"
        unused.insert(0, f"{len(others):,} {kind} ({examples})")
    said = [f"Set aside for predict, without labels: {set_aside:,} of {first_few(aside)}."] if set_aside else []
    said += [f"Passed over: {'; '.join(unused)}."] if unused else []
    return [*lines, " ".join(said)] if said else lines


def split_words(settings: DataSettings) -> dict[str, str]:
    """What a recipe calls the splits of its data."""
    found = {split: getattr(settings, f"{split}_split") for split in ("train", "validation", "test")}
    return {split: name for split, name in found.items() if name is not None}


def scan_folder(
    root: Path, *, check_finite: bool = False, modality: Modality = IMAGE, settings: DataSettings | None = None
) -> ImageData:
    """A folder of class folders in any layout; labels are their sorted names. An item is an image, or a video: a file,
    or a folder of frames. Raises: UserError where it may be read in several ways."""
    settings = settings or DataSettings(name=str(root), check_finite=check_finite)
    tree = scan(str(root), modality, frames=settings.frames)
    reading = read_layout(tree, modality, layout=settings.layout, named=split_words(settings))
    return data_of_reading(reading, tree, settings, modality)
