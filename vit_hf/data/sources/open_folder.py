"""A folder as data: by its class folders, or by a table of the images in it; refused where the two disagree."""

from collections.abc import Iterator
from pathlib import Path

from ...errors import UserError, first_few
from ...modality import Modality
from ..settings import DataSettings
from .file_places import Places
from .folders import Folder, suffix_of
from .image_folders import data_of_reading, split_words
from .label_columns import LABEL_WORDS
from .layouts import Ambiguous, read_layout
from .listed_files import open_listed
from .readings import LayoutReading, NoReading
from .split_names import spelled, split_called
from .table_files import TABLE_ENDINGS, holds_pictures
from .tables import ImageData, ImageTable

FOR_TABLES = ("image_column", "label_column", "label_columns", "label_separator", "group_column")
NO_TABLES = ("submission", "package", "requirements", "config")

Tables = list[tuple[Path, str | None]]


def tables_near(tree: Folder) -> Tables:
    """The tables that lie in a folder, or in the folders of splits in it, or in one that wraps all; each with the split
    that it says. Those of the folders of splits come first, if there are any."""
    while True:
        found = [Path(name) for name in tree.others if suffix_of(name) in TABLE_ENDINGS]
        found = [path for path in found if not any(word in path.stem.lower() for word in NO_TABLES)]
        in_splits: Tables = []
        for folder in tree.folders:
            if (split := split_called(folder.name)) is not None:
                inside = [name for name in folder.others if suffix_of(name) in TABLE_ENDINGS]
                in_splits += [(Path(name), split) for name in inside]
        if found or in_splits or len(tree.filled) != 1:
            break
        tree = tree.filled[0]
    if in_splits and not found:
        return in_splits
    of_splits: Tables = [(path, spelling.split) for path in found if (spelling := spelled(path.stem))]
    others: Tables = [(path, None) for path in found if not spelled(path.stem)]
    return [*of_splits, *others]


def groups_of_tables(tables: Tables) -> list[Tables]:
    """Which tables may be one data set: one a split, or one for all."""
    of_splits: Tables = [(path, split) for path, split in tables if split is not None]
    alone: list[Tables] = [[(path, None)] for path, split in tables if split is None]
    if not any(split == "train" for _, split in of_splits):
        return [[*one, *of_splits] for one in alone] or ([of_splits] if of_splits else [])
    names = [split for _, split in of_splits]
    if len({*names}) < len(names):
        raise UserError(
            f"{first_few([path for path, _ in of_splits])} are several tables for one split; give one as --data.name."
        )
    return [of_splits, *alone]


def open_tables(tree: Folder, places: Places, settings: DataSettings, modality: Modality) -> ImageData:
    """The one reading of the tables in a folder. Raises: UserError where there is none, or several."""
    tables = tables_near(tree)
    asked = [name for name in FOR_TABLES if getattr(settings, name) is not None]
    if not tables and asked:
        raise UserError(
            f"--data.{asked[0]} {getattr(settings, asked[0])} is for parquet files and other tables, and {tree.path} "
            "is a folder of class folders; leave it out, or put a table (labels.csv) beside them."
        )
    if not tables:
        raise NoReading(f"{tree.path} holds no table ({', '.join(TABLE_ENDINGS)}) of its {modality.plural}.")
    opened: list[tuple[Tables, ImageData]] = []
    failed: list[UserError] = []
    for group in groups_of_tables(tables):
        try:
            opened.append((group, open_listed(group, places, settings, modality)))
        except UserError as error:
            failed.append(error)
    if not opened:
        raise failed[0]
    if len(opened) > 1 and opened[0][0][0][1] is None:
        named = first_few([group[0][0] for group, _ in opened])
        raise UserError(
            f"Several tables of {tree.path} could name the labels: {named}. Give one of them as --data.name."
        )
    return opened[0][1]


def open_folder(tree: Folder, settings: DataSettings, modality: Modality) -> ImageData:
    """Class folders where there are some; tables where there are none, or where the recipe speaks of columns.

    Raises: UserError where both are there and say different labels.
    """
    places = Places(Path(tree.path), modality, tree)
    asked = settings.layout == "table" or any(getattr(settings, name) is not None for name in FOR_TABLES)
    if asked or (not tree.count and tables_near(tree)):
        return open_tables(tree, places, settings, modality)
    reading: LayoutReading | None = None
    problem: UserError | None = None
    try:
        reading = read_layout(tree, modality, layout=settings.layout, named=split_words(settings))
        if len(reading.label_names) < 2:
            problem = NoReading(f"{tree.path} has one class, {reading.label_names[0]!r}.")
    except (NoReading, Ambiguous) as error:
        problem = error
    if settings.layout is not None and reading is not None:
        return data_of_reading(reading, tree, settings, modality)
    listed = None
    if settings.layout is None and tables_near(tree):
        try:
            listed = open_tables(tree, places, settings, modality)
        except UserError as error:
            if isinstance(problem, NoReading):
                raise error from None
    if reading is None:
        if listed is None:
            assert problem is not None
            raise problem
        return listed
    data = data_of_reading(reading, tree, settings, modality)
    if listed is None:
        return data
    if problem is not None:
        return listed
    return agreed(data, listed, tree)


def agreed(folders: ImageData, listed: ImageData, tree: Folder) -> ImageData:
    """The data of class folders, where a table names the same classes for the same files, or says nothing of labels."""
    column = listed.understood[0].partition("labels by column ")[2].partition(";")[0].partition(" ")[0]
    if same_classes(folders, listed) or column.lower() not in LABEL_WORDS:
        return folders
    raise Ambiguous(
        f"{tree.path} is not clear: its folders and its table say different labels. Say which it is:\n"
        f"  --data.layout classes (or splits): {first_few(folders.label_names)}\n"
        f"  --data.layout table: {first_few(listed.label_names)}"
    )


def same_classes(folders: ImageData, listed: ImageData) -> bool:
    """Whether two readings of the same files divide them into the same classes, whatever they are called."""
    if listed.problem_type != "single_label_classification":
        return False
    named = {item: label for table in folders.splits.values() for item, label in labeled_files(table)}
    pairs = {(named.get(item), label) for table in listed.splits.values() for item, label in labeled_files(table)}
    firsts, seconds = {first for first, _ in pairs}, {second for _, second in pairs}
    return len(pairs) == len(firsts) == len(seconds) and None not in firsts


def labeled_files(table: ImageTable) -> Iterator[tuple[str, int]]:
    return zip(table.items, table.labels.tolist(), strict=True)


def open_table_file(path: Path, settings: DataSettings, modality: Modality, tree: Folder | None = None) -> ImageData:
    """One table, whose files lie beside it. tree: the folder around it, where that is known."""
    found = spelled(path.stem)
    places = Places(path.parent, modality, tree)
    return open_listed([(path, found.split if found else None)], places, settings, modality)


def is_table(path: Path) -> bool:
    """Whether a file is a table that names files: a parquet file with bytes in it is none."""
    ending = suffix_of(path.name)
    return ending in TABLE_ENDINGS and not (ending == "parquet" and holds_pictures(path))
