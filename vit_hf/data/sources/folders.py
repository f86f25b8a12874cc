"""A folder of class folders, by a plain scan: photos/cat/1.jpg is a cat, and videos/wave/1/ or 1.mp4 a wave."""

import os
from pathlib import Path

from ...errors import UserError, unknown_name
from ...modality import IMAGE, Modality
from ...models.video_frames import STILLS
from .tables import ImageData, ImageTable

SPLIT_NAMES = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing"),
}


def split_called(name: str) -> str | None:
    """The split that a folder or file of this name holds, if any: val -> validation."""
    return next((split for split, names in SPLIT_NAMES.items() if name.lower() in names), None)


def path_of(item: str, name: str) -> Path:
    return Path(item)


def name_file(item: str, row: int) -> str:
    return item


def visible(folder: str | os.PathLike[str]) -> list[os.DirEntry]:
    """Sorted by name; what begins with a dot belongs to the file system."""
    with os.scandir(folder) as entries:
        return sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda entry: entry.name)


def items_under(folder: str | Path, modality: Modality) -> list[str]:
    """Every visible item, in subfolders too. As texts: a million paths would take a second and a gigabyte."""
    found = []
    for entry in visible(folder):
        found += [entry.path] if modality.is_item(entry) else items_under(entry.path, modality)
    return found


def holds_frames(folder: Path | os.DirEntry[str]) -> bool:
    """Whether all that lies in a folder are images: then they are the frames of one video."""
    inside = visible(folder)
    return bool(inside) and all(entry.is_file() and entry.name.lower().endswith(STILLS) for entry in inside)


def holds(root: Path, suffix: str) -> bool:
    """Whether there is a file with this ending anywhere under the folder."""
    return any(name.endswith(suffix) for _, _, names in os.walk(root) for name in names)


def class_folders(folder: Path) -> list[Path]:
    return [folder / entry.name for entry in visible(folder) if entry.is_dir()]


def scan_split(folder: Path, label_names: list[str], *, check_finite: bool, modality: Modality) -> ImageTable:
    """The images, or videos, of one folder of class folders. Every other file in a class folder counts as one too,
    so that the check before training names it."""
    paths, labels = [], []
    for entry in class_folders(folder):
        if entry.name not in label_names:
            raise UserError(f"{entry}: {unknown_name('class', entry.name, label_names)}")
        found = items_under(entry, modality)
        if not found:
            raise UserError(f"The class folder {entry} is empty; put {modality.plural} into it, or remove it.")
        paths += found
        labels += [label_names.index(entry.name)] * len(found)
    return ImageTable.of(paths, labels, source=path_of, name=name_file, check_finite=check_finite, modality=modality)


def scan_folder(root: Path, *, check_finite: bool = False, modality: Modality = IMAGE) -> ImageData:
    """root/class/item, or root/{train,validation,test}/class/item; labels are the sorted folder names. An item is an
    image, or a video: a file, or a folder of frames."""
    folders = class_folders(root)
    splits = {split: entry for entry in folders if (split := split_called(entry.name))}
    others = [entry for entry in folders if entry not in splits.values()]
    if "train" not in splits and (others or not splits):
        splits, others = {"train": root}, []  # then a folder called `test` is a class like any other
    if others:
        raise UserError(f"{others[0]} stands beside the folder of a split; move it away, or into the split.")
    first = splits.get("train") or next(iter(splits.values()))
    label_names = [entry.name for entry in class_folders(first)]
    if not label_names:
        raise UserError(
            f"{first} has no class folders; {modality.plural} belong into one folder for each class, as in "
            f"{first / modality.example_path}."
        )
    return ImageData(
        {
            split: scan_split(folder, label_names, check_finite=check_finite, modality=modality)
            for split, folder in splits.items()
        },
        label_names,
    )
