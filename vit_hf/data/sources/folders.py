"""A folder of class folders, by a plain scan: photos/cat/1.jpg is a cat, and videos/wave/1/ or 1.mp4 a wave."""

import os
from pathlib import Path

from ...errors import UserError, unknown_name
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


def visible(folder: str | Path) -> list[os.DirEntry]:
    """Sorted by name; what begins with a dot belongs to the file system."""
    with os.scandir(folder) as entries:
        return sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda entry: entry.name)


def files_under(folder: str | Path) -> list[str]:
    """Every visible file, in subfolders too. As texts: a million paths would take a second and a gigabyte."""
    found = []
    for entry in visible(folder):
        found += files_under(entry.path) if entry.is_dir() else [entry.path]
    return found


def holds_frames(folder: Path) -> bool:
    """Whether all that lies in a folder are images: then they are the frames of one video."""
    inside = visible(folder)
    return bool(inside) and all(entry.is_file() and entry.name.lower().endswith(STILLS) for entry in inside)


def videos_under(folder: str | Path) -> list[str]:
    """Every visible file, in subfolders too, is a video; but subfolders of images alone are one video each."""
    found: list[str] = []
    for entry in visible(folder):
        whole = not entry.is_dir() or holds_frames(Path(entry.path))
        found += [entry.path] if whole else videos_under(entry.path)
    return found


def holds(root: Path, suffix: str) -> bool:
    """Whether there is a file with this ending anywhere under the folder."""
    return any(name.endswith(suffix) for _, _, names in os.walk(root) for name in names)


def class_folders(folder: Path) -> list[Path]:
    return [folder / entry.name for entry in visible(folder) if entry.is_dir()]


def scan_split(folder: Path, label_names: list[str], *, check_finite: bool, clips: bool) -> ImageTable:
    """The images, or videos, of one folder of class folders. Every other file in a class folder counts as one too,
    so that the check before training names it."""
    find = videos_under if clips else files_under
    paths, labels = [], []
    for entry in class_folders(folder):
        if entry.name not in label_names:
            raise UserError(f"{entry}: {unknown_name('class', entry.name, label_names)}")
        found = find(entry)
        if not found:
            kind = "videos" if clips else "images"
            raise UserError(f"The class folder {entry} is empty; put {kind} into it, or remove it.")
        paths += found
        labels += [label_names.index(entry.name)] * len(found)
    return ImageTable.of(paths, labels, source=path_of, name=name_file, check_finite=check_finite, clips=clips)


def scan_folder(root: Path, *, check_finite: bool = False, clips: bool = False) -> ImageData:
    """root/class/image, or root/{train,validation,test}/class/image; labels are the sorted folder names.

    With `clips` videos stand in the places of images: files, or folders of frames.
    """
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
        what, example = ("videos", Path("wave", "1.mp4")) if clips else ("images", Path("cat", "1.jpg"))
        raise UserError(
            f"{first} has no class folders; {what} belong into one folder for each class, as in {first / example}."
        )
    return ImageData(
        {
            split: scan_split(folder, label_names, check_finite=check_finite, clips=clips)
            for split, folder in splits.items()
        },
        label_names,
    )
