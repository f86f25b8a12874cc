"""A folder of archives, train.zip beside test.zip: seen as if each had been unpacked into a folder of its name."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path, PurePath

from ...errors import UserError, first_few
from ...modality import Modality
from ..settings import DataSettings
from .archives import BROKEN_ARCHIVES, is_archive, members, stem_of, unpacked
from .folders import FOREIGN, Folder, scan, suffix_of
from .image_folders import split_words
from .open_folder import tables_near
from .readings import ASIDE_WORDS
from .split_names import splits_called, words_of_name
from .table_files import TABLE_ENDINGS

MEMBERS_LOOKED_FOR = 8  # that tell whether an archive has been unpacked where it lies


def archives_in(tree: Folder) -> tuple[Folder, list[Path]]:
    """-> the folder that holds archives, with the files around it, as others may wrap it; and those of the archives
    that were not unpacked there"""
    while not tree.count and len(tree.folders) == 1 and not any(is_archive(Path(name)) for name in tree.others):
        tree = replace(tree.folders[0], others=[*tree.others, *tree.folders[0].others])
    found = [path for path in map(Path, tree.others) if is_archive(path)]
    return tree, [path for path in found if not is_unpacked_beside(path)]


def is_unpacked_beside(path: Path) -> bool:
    """Whether the first files in an archive lie beside it, or in a folder of its name, too."""
    names = []
    try:
        for name, _ in islice(members(path), MEMBERS_LOOKED_FOR):
            parts = PurePath(name).parts
            if not any(part in FOREIGN or part.startswith(".") for part in parts):
                names.append(name)
    except (UserError, *BROKEN_ARCHIVES):
        return False
    folders = [path.parent, path.parent / stem_of(path)]
    return bool(names) and any(all((folder / name).exists() for name in names) for folder in folders)


def holds_table(path: Path) -> bool:
    """labels.csv.zip"""
    return suffix_of(stem_of(path)) in TABLE_ENDINGS


def with_tables(tree: Folder, archives: Sequence[Path], modality: Modality) -> Folder:
    """The folder with what these archives hold instead of them."""
    names = {str(path) for path in archives}
    inside = [name for path in archives for name in scan(str(unpacked(path)), modality).other_files()]
    return replace(tree, others=[*(name for name in tree.others if name not in names), *inside])


def with_folders(tree: Folder, archives: Sequence[Path], modality: Modality, frames: str | None = None) -> Folder:
    """The folder with a folder for each of these archives, as if they had been unpacked in it.

    Raises: UserError for two archives of one name, or one that cannot be unpacked.
    """
    each = Counter(map(stem_of, archives))
    if double := [path for path in archives if each[stem_of(path)] > 1]:
        raise UserError(f"{tree.path} holds {named_archives(double)}, of one name; remove those that are not wanted.")
    names = {str(path) for path in archives}
    folders = [scan(str(unpacked(path, within=stem_of(path))), modality, frames=frames) for path in archives]
    content = sorted([*tree.content, *folders], key=name_of)
    others = [name for name in tree.others if name not in names]
    return Folder(tree.path, tree.name, content, others, sorted([*tree.folders, *folders], key=name_of))


def name_of(one: str | Folder) -> str:
    return one.name if isinstance(one, Folder) else os.path.basename(one)  # noqa: PTH119


def meaning(tree: Folder, archives: Sequence[Path], settings: DataSettings) -> DataSettings:
    """The settings by which a folder with these archives is read: a table counts alone where their names say no splits.

    Raises: UserError where it is not clear what the archives are.
    """
    if settings.layout is not None:
        return settings
    if tree.filled:
        raise UserError(
            f"{tree.path} holds {named_archives(archives)} beside folders of images, and it is not clear whether they "
            "belong together. Unpack it there or move it away, or pass over it with --data.layout classes, splits or "
            "table."
        )
    stems = [stem_of(path) for path in archives]
    sure, perhaps = splits_called(stems)
    called = {**sure, **(perhaps if sure else {})}
    strange = [path for path, stem in zip(archives, stems, strict=True) if not says_part(stem, called, settings)]
    double = [split for split, count in Counter(map(called.get, stems)).items() if split and count > 1]
    if split_words(settings):
        double = []
    if (strange or double) and len(archives) > 1 and tables_near(tree):
        return settings.model_copy(update={"layout": "table"})
    if double:
        both = [path for path, stem in zip(archives, stems, strict=True) if called.get(stem) == double[0]]
        raise UserError(
            f"{named_archives(both)} in {tree.path} all seem to be the split {double[0]!r}; name the one that is with "
            f"--data.{double[0]}_split {stem_of(both[0])}, or unpack them into one folder."
        )
    if strange and len(archives) > 1:
        raise UserError(
            f"{tree.path} holds {named_archives(archives)}, and {named_archives(strange)} says no split (train, val, "
            "test). Give one archive as --data.name, say --data.layout classes where each is a class, name splits as "
            f"in --data.train_split {stem_of(strange[0])}, or put a table of the files and their labels beside them."
        )
    return settings


def says_part(stem: str, called: dict[str, str], settings: DataSettings) -> bool:
    """Whether the name of an archive says what part of the data it is: a split, or what is set aside for predict."""
    words = {*words_of_name(stem)}
    return stem in called or stem in split_words(settings).values() or bool(called and ASIDE_WORDS & words)


def named_archives(archives: Sequence[Path]) -> str:
    return first_few([path.name for path in archives])
