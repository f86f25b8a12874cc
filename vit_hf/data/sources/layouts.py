"""What a tree of folders means: which are splits, which are classes; refused where it may mean several things."""

from collections.abc import Callable, Mapping

from ...errors import UserError, first_few, unknown_name
from ...modality import Modality
from .folders import Folder
from .readings import (
    LayoutReading,
    NoReading,
    innermost,
    names_in,
    read_classes,
    read_classes_of_splits,
    read_splits,
    says_aside,
    spelled_folders,
)
from .split_names import says_nothing, words_of_name


class Ambiguous(UserError):
    """A tree that can be read in several ways."""


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


def hardly_classes(root: Folder) -> bool:
    """Whether folders differ by a number alone, as fold1 and fold2 do, or have names that mean nothing; and hold
    several folders of the same names."""
    words = [tuple(words_of_name(folder.name)) for folder in root.filled]
    strange = all(words) and (len({*words}) == 1 or all(says_nothing(folder.name) for folder in root.filled))
    return len(words) > 1 and strange and share_classes({folder.path: [folder] for folder in root.filled})


def refuse_several(root: Folder, reason: str, ways: Mapping[str, Callable[[], LayoutReading]]) -> Ambiguous:
    """The error that says what a tree may mean, and how to say what it does."""
    lines = []
    for layout, way in ways.items():
        try:
            reading = way()
        except UserError:
            continue
        if len(reading.label_names) > 1:
            lines.append(f"\n  --data.layout {layout}: {reading.described()}")
    choice = f" Say which it is:{''.join(lines)}" if lines else ""
    table = "a table of the files and their labels (labels.csv) beside them is understood too"
    return Ambiguous(f"{root.path} is not clear: {reason}.{choice}\nOr rename or move the folders; {table}.")


def read_layout(
    root: Folder, modality: Modality, *, layout: str | None = None, named: Mapping[str, str] | None = None
) -> LayoutReading:
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
) -> LayoutReading:
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
    if not splits and hardly_classes(root):
        names = first_few([repr(folder.name) for folder in root.filled])
        raise refused(f"{names} hold the same folders, which may be the classes")
    if not splits:
        inner = [len(spelled_folders(folder)[0]) for folder in root.filled]
        if not any(count > 1 for count in inner) and not (inner and all(inner)):
            return read_classes(root, modality)
        try:
            return read_classes_of_splits(root, modality)
        except NoReading as error:
            raise refused(f"folders of splits lie in folders of classes, but {error}") from error
    found = [folder for folders in splits.values() for folder in folders]
    if any(folder.nested for folder in splits.get("train", [])):
        others = [folder for folder in others if not says_aside(folder)]
    named = first_few([f"{folder.name!r}" for folder in found])
    beside = first_few([f"{folder.name!r}" for folder in others])
    known = others[0].filled if len(others) == 1 and others[0].nested else others
    shared = set().union(*(names_in(innermost(folder)) for folder in found if folder.nested))
    if not others:
        if len(found) == 1 or any(folder.nested or any(child.are_one for child in folder.filled) for folder in found):
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
