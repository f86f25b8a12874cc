"""The ways to read a tree of folders: as classes, as splits of classes, as classes of splits."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ...errors import UserError, first_few, unknown_name
from ...modality import Modality
from .folders import Folder
from .split_names import says_nothing, spelled, splits_called, words_of_name

Classes = dict[str, list[Folder]]  # the folders of each class: several where Unicode spells a name in several ways
ASIDE_WORDS = {"pred", "predict", "unlabeled", "unlabelled", "unsup"}  # of a folder beside splits
UNTOLD = ("unknown", "unlabeled", "unlabelled", "unclassified", "test", "all")  # of a folder in a split without labels


@dataclass
class LayoutReading:
    """layout: its word in a recipe. parts: the class folders of each split. unlabeled: folders of items without labels.
    left: folders that hold items and are passed over. root: the folder that all this lies in."""

    layout: str
    parts: dict[str, Classes]
    unlabeled: list[Folder] = field(default_factory=list)
    left: list[Folder] = field(default_factory=list)
    root: Folder = field(default_factory=lambda: Folder("", ""))

    @property
    def label_names(self) -> list[str]:
        return sorted(self.parts.get("train") or next(iter(self.parts.values())))

    def described(self) -> str:
        """In the words of a choice."""
        names = self.label_names
        counts = f"{len(names)} class{'es' * (len(names) > 1)} {first_few(names, 3)}"
        splits = "" if [*self.parts] == ["train"] else f" in the splits {', '.join(self.parts)}"
        aside = f"; {first_few([folder.name for folder in self.unlabeled], 3)} without labels" if self.unlabeled else ""
        left = f"; {first_few([folder.name for folder in self.left], 3)} left out" if self.left else ""
        return f"{counts}{splits}{aside}{left}"


class NoReading(UserError):
    """A tree that cannot be read in this way."""


def class_folders(folder: Folder, modality: Modality) -> Classes:
    """Raises: UserError for a class folder with nothing in it."""
    classes: Classes = {}
    for child in folder.folders:
        if child.count:
            classes.setdefault(child.name, []).append(child)
        elif child.is_bare:
            raise UserError(f"The class folder {child.path} is empty; put {modality.plural} into it, or remove it.")
    return classes


def innermost(folder: Folder) -> Folder:
    """Through folders that hold nothing but one folder of folders."""
    while len(folder.filled) == 1 and folder.filled[0].nested:
        folder = folder.filled[0]
    return folder


def classes_of_training(folder: Folder, modality: Modality) -> Classes:
    inside = innermost(folder)
    if classes := class_folders(inside, modality):
        return classes
    raise NoReading(
        f"{folder.path} has no class folders; {modality.plural} belong into one folder for each class, as in "
        f"{Path(folder.path) / modality.example_path}."
    )


def classes_of_other(folder: Folder, known: Mapping[str, object], modality: Modality) -> Classes | None:
    """The class folders of a split, whose names the training knows; None of one that has none: it has no labels."""
    inside = folder
    while len(inside.filled) == 1 and inside.filled[0].name not in known:
        lone = inside.filled[0]
        wraps = lone.nested and names_in(innermost(lone)) <= set(known)
        if not (
            wraps
            or says_nothing(lone.name)
            or lone.name.lower() in UNTOLD
            or lone.name == inside.name
            or spelled(lone.name)
        ):
            break
        inside = lone
    if not inside.filled or (all(child.are_one for child in inside.filled) and not set(known) & names_in(inside)):
        return None
    classes = class_folders(inside, modality)
    for name, (first, *_) in classes.items():
        if name not in known:
            raise NoReading(f"{first.path}: {unknown_name('class', name, [*known])}")
    return classes


def names_in(folder: Folder) -> set[str]:
    return {child.name for child in folder.filled}


def read_classes(root: Folder, modality: Modality) -> LayoutReading:
    """Every folder is a class, and what lies deeper belongs to it."""
    inside = innermost(root)
    return LayoutReading("classes", {"train": classes_of_training(inside, modality)}, root=inside)


def read_splits(root: Folder, splits: Mapping[str, list[Folder]], modality: Modality) -> LayoutReading:
    """Some folders are splits with class folders in them. Where none is to train on, the others are its classes."""
    if not splits:
        raise NoReading(f"No folder in {root.path} is called like a split; name one with --data.test_split.")
    for split, folders in splits.items():
        if len(folders) > 1:
            raise NoReading(
                f"{first_few([folder.path for folder in folders])} all seem to be the split {split!r}; name the one "
                f"that is with --data.{split}_split."
            )
    used = {id(folder) for folders in splits.values() for folder in folders}
    others = [folder for folder in root.folders if id(folder) not in used]
    rest = Folder(root.path, root.name, [*others], [], others)
    parts: dict[str, Classes] = {}
    unlabeled, left = [], rest.filled
    if "train" in splits:
        parts["train"] = classes_of_training(splits["train"][0], modality)
    elif rest.filled:
        parts["train"], left = classes_of_training(rest, modality), []
    for split in ("validation", "test"):
        for folder in splits.get(split, []):
            known = parts.get("train") or next(iter(parts.values()), {}) or dict.fromkeys(names_in(innermost(folder)))
            found = classes_of_other(folder, known, modality)
            if found is None:
                unlabeled.append(folder)
            else:
                parts[split] = found
    known = parts.get("train", {})
    for folder in [
        folder for folder in left if says_aside(folder) and classes_of_other(folder, known, modality) is None
    ]:
        left = [other for other in left if other is not folder]
        unlabeled.append(folder)
    if not parts:
        raise NoReading(
            f"{root.path} has {first_few([folder.name for folder in unlabeled])}, and no class folders in any of them."
        )
    return LayoutReading("splits", parts, unlabeled, left, root)


def says_aside(folder: Folder) -> bool:
    return bool(ASIDE_WORDS & {*words_of_name(folder.name)})


def read_classes_of_splits(root: Folder, modality: Modality) -> LayoutReading:
    """Every folder is a class, and the folders in it are splits."""
    inside = innermost(root) if not spelled_folders(root)[0] else root
    parts: dict[str, Classes] = {}
    for folder in inside.filled:
        splits, perhaps, others = spelled_folders(folder)
        if folder.loose or perhaps or others or not splits or any(len(found) > 1 for found in splits.values()):
            raise NoReading(f"{folder.path} holds more than a folder for each split.")
        for split, found in splits.items():
            parts.setdefault(split, {}).setdefault(folder.name, []).extend(found)
    if "train" not in parts:
        raise NoReading(f"The folders in {root.path} have none to train on in them.")
    for split in parts:
        for name in parts[split]:
            if name not in parts["train"]:
                raise NoReading(f"The class {name!r} has {split} {modality.plural}, and none to train on.")
    ordered = {split: parts[split] for split in ("train", "validation", "test") if split in parts}
    return LayoutReading("classes_of_splits", ordered, root=inside)


def spelled_folders(root: Folder) -> tuple[dict[str, list[Folder]], dict[str, list[Folder]], list[Folder]]:
    """-> the folders that surely are splits by their names, those that perhaps are, and the others"""
    sure, perhaps = splits_called(folder.name for folder in root.filled)
    by_split: tuple[dict[str, list[Folder]], dict[str, list[Folder]]] = ({}, {})
    others = []
    for folder in root.filled:
        if folder.name in sure:
            by_split[0].setdefault(sure[folder.name], []).append(folder)
        elif folder.name in perhaps:
            by_split[1].setdefault(perhaps[folder.name], []).append(folder)
        else:
            others.append(folder)
    return *by_split, others
