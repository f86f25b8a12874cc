"""What a tree of folders means: which are splits, which are classes; refused where it may mean several things."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ...errors import UserError, first_few, unknown_name
from ...modality import Modality
from .folders import Folder
from .split_names import says_nothing, splits_called

Classes = dict[str, list[Folder]]  # the folders of each class: several where Unicode spells a name in several ways
UNTOLD = ("unknown", "unlabeled", "unlabelled", "unclassified", "test", "all")  # of a folder in a split without labels


@dataclass
class Reading:
    """parts: the class folders of each split. unlabeled: folders of items that no class folder names. left: folders
    that hold items and are passed over. origin: where from the classes to train on were read, if not from a split."""

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


class Ambiguous(UserError):
    """A tree that can be read in several ways."""


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
        if not says_nothing(lone.name) and lone.name.lower() not in UNTOLD:
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


def read_classes(root: Folder, modality: Modality) -> Reading:
    """Every folder is a class, and what lies deeper belongs to it."""
    inside = innermost(root)
    return Reading("classes", {"train": classes_of_training(inside, modality)}, root=inside)


def read_splits(root: Folder, splits: Mapping[str, list[Folder]], modality: Modality) -> Reading:
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
    if not parts:
        raise NoReading(
            f"{root.path} has {first_few([folder.name for folder in unlabeled])}, and no class folders in any of them."
        )
    return Reading("splits", parts, unlabeled, left, root)


def read_classes_of_splits(root: Folder, modality: Modality) -> Reading:
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
    return Reading("classes_of_splits", ordered, root=inside)


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


def with_contents(
    sure: dict[str, list[Folder]], perhaps: dict[str, list[Folder]], others: list[Folder]
) -> tuple[dict[str, list[Folder]], list[Folder]]:
    """-> splits and others, after a look into folders whose names leave it open: a split holds the class folders that
    another split holds, or that lie beside it; and where all seem to be splits, and one has classes in it, all are."""
    splits, classes = {split: [*folders] for split, folders in sure.items()}, {folder.name for folder in others}
    every = [folder for found in (sure, perhaps) for folders in found.values() for folder in folders]
    one_each = all(len(sure.get(split, [])) + len(perhaps.get(split, [])) == 1 for split in {**sure, **perhaps})
    all_are = sure and not others and one_each and any(folder.nested for folder in every)
    known = set().union(*(names_in(innermost(folder)) for folders in sure.values() for folder in folders))
    known -= {name for folder in others for name in names_in(folder)}
    others = [*others]
    for split, folders in perhaps.items():
        for folder in folders:
            inside = names_in(innermost(folder)) if folder.nested else set()
            if all_are or (inside and (inside <= known or inside <= classes)):
                splits.setdefault(split, []).append(folder)
            else:
                others.append(folder)
    return splits, others


def share_classes(perhaps: Mapping[str, list[Folder]]) -> bool:
    """Whether folders that may be different splits hold several class folders of the same names."""
    inside = [set().union(*map(names_in, map(innermost, folders))) for folders in perhaps.values()]
    return len(inside) > 1 and len(set.intersection(*inside)) > 1


def refuse_several(root: Folder, reason: str, ways: Mapping[str, Callable[[], Reading]]) -> Ambiguous:
    """The error that says what a tree may mean, and how to say what it does."""
    lines = []
    for layout, way in ways.items():
        try:
            lines.append(f"\n  --data.layout {layout}: {way().described()}")
        except UserError:
            continue
    choice = f" Say which it is:{''.join(lines)}" if lines else ""
    table = "a table of the files and their labels (labels.csv) beside them is understood too"
    return Ambiguous(f"{root.path} is not clear: {reason}.{choice}\nOr rename or move the folders; {table}.")


def read_layout(
    root: Folder, modality: Modality, *, layout: str | None = None, named: Mapping[str, str] | None = None
) -> Reading:
    """layout: how it is to be read, where a recipe says so. named: the folders that are splits, where it says so.

    Raises: Ambiguous, with the readings to choose from; NoReading where there is none.
    """
    if layout == "classes":
        return read_classes(root, modality)
    if layout == "classes_of_splits":
        return read_classes_of_splits(root, modality)
    if named:
        splits, root = named_folders(root, named)
        return read_splits(root, splits, modality)
    while True:
        sure, perhaps, others = spelled_folders(root)
        splits, others = with_contents(sure, perhaps, others)
        lone = root.filled[0] if len(root.filled) == 1 else None
        if lone is None or not lone.nested:
            break
        if splits and "train" not in with_contents(*spelled_folders(lone))[0]:
            break
        root = lone
    if layout == "splits":
        every = {split: [*sure.get(split, []), *perhaps.get(split, [])] for split in {**sure, **perhaps}}
        return read_splits(root, sure or every, modality)
    return clear_reading(root, splits, others, perhaps, modality)


def clear_reading(
    root: Folder,
    splits: dict[str, list[Folder]],
    others: list[Folder],
    perhaps: dict[str, list[Folder]],
    modality: Modality,
) -> Reading:
    """The only sensible meaning of folders of which some seem to be splits, or perhaps are."""

    def refused(reason: str) -> Ambiguous:
        ways = {
            "classes": lambda: read_classes(root, modality),
            "splits": lambda: read_splits(root, splits or perhaps, modality),
            "classes_of_splits": lambda: read_classes_of_splits(root, modality),
        }
        return refuse_several(root, reason, ways)

    if not splits and share_classes(perhaps):
        names = [repr(folder.name) for folders in perhaps.values() for folder in folders]
        raise refused(f"{first_few(names)} may be splits or classes")
    if not splits:
        inner = [len(spelled_folders(folder)[0]) for folder in root.filled]
        if not any(count > 1 for count in inner) and not (inner and all(inner)):
            return read_classes(root, modality)
        try:
            return read_classes_of_splits(root, modality)
        except NoReading as error:
            raise refused(f"folders of splits lie in folders of classes, but {error}") from error
    found = [folder for folders in splits.values() for folder in folders]
    named = first_few([f"{folder.name!r}" for folder in found])
    beside = first_few([f"{folder.name!r}" for folder in others])
    known = others[0].filled if len(others) == 1 and others[0].nested else others
    shared = set().union(*(names_in(innermost(folder)) for folder in found if folder.nested))
    if not others:
        if any(folder.nested or any(child.are_one for child in folder.filled) for folder in found):
            return read_splits(root, splits, modality)
        raise refused(f"{named} seem to be splits, and have no class folders in them")
    if "train" not in splits and shared and shared <= {folder.name for folder in known}:
        return read_splits(root, splits, modality)
    if any(folder.nested for folder in found):
        raise refused(f"{beside} stands beside {named}, which seem to be splits")
    if any(folder.nested for folder in others):
        raise refused(f"{named} may be a split or a class")
    if len(splits) > 1:
        raise refused(f"{named} may be splits without labels, or classes")
    if all(says_nothing(folder.name) for folder in others):
        raise refused(f"{named} seems to be a split, and {beside} names no class")
    if "train" not in splits and len(others) > 1:
        raise refused(f"{named} may be a class, or {modality.plural} to test on without labels")
    return read_classes(root, modality)


def named_folders(root: Folder, named: Mapping[str, str]) -> tuple[dict[str, list[Folder]], Folder]:
    """-> the folders that a recipe calls its splits, with those that are called like the other splits; and what they
    lie in"""
    inside = root
    names = {folder.name: folder for folder in inside.folders}
    while not set(named.values()) <= set(names) and len(inside.filled) == 1 and inside.filled[0].nested:
        inside = inside.filled[0]
        names = {folder.name: folder for folder in inside.folders}
    splits = {}
    for split, name in named.items():
        if name not in names:
            raise NoReading(f"--data.{split}_split: {unknown_name('folder', name, names)}")
        splits[split] = [names[name]]
    for split, folders in spelled_folders(inside)[0].items():
        if split not in splits and (unnamed := [folder for folder in folders if folder.name not in named.values()]):
            splits[split] = unnamed
    return splits, inside
