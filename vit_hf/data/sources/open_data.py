"""From `data.name` to tables of images or videos: the one place that knows every kind of source."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ...errors import UserError
from ...modality import IMAGE, Modality
from ..settings import DataSettings
from .archive_folders import archives_in, holds_table, meaning, with_folders, with_tables
from .archives import is_archive, unpacked
from .digits import digits, moving_digits
from .folders import Folder, scan, suffix_of
from .listed_files import NoFiles
from .open_folder import is_table, open_folder, open_table_file, tables_near
from .splits import cut
from .table_files import holds_pictures
from .tables import ImageData, ImageTable, refuse_strange_labels
from .webdataset import expanded, is_tar, is_webdataset, open_webdataset, shards_in, stream_webdataset

# Of tables, and of files of the user's own.
UNHEARD = ("subset", "revision", "streaming", "image_column", "label_column", "label_columns", "label_separator")
UNHEARD += ("problem_type", "group_column", "train_split", "validation_split", "test_split", "group_by", "layout")


def refuse_settings_of_tables(settings: DataSettings, kind: str, only: Sequence[str] = UNHEARD) -> None:
    """Columns and splits are named in what the user has; elsewhere such a setting would go unheard."""
    for name in only:
        if (value := getattr(settings, name)) not in (None, False, "single_label_classification"):
            raise UserError(
                f"--data.{name} {value} is for parquet files and Hub data sets, and {settings.name} is {kind}; "
                "leave it out."
            )


ARCHIVES_IN_ARCHIVES = 2  # levels that are opened, as one that holds itself would never end
BUNDLED = {"digits": digits, "moving_digits": moving_digits}


def bundled(settings: DataSettings, modality: Modality) -> ImageData:
    """Raises: UserError for data of another modality."""
    refuse_settings_of_tables(settings, "made of scikit-learn's digits")
    data = BUNDLED[settings.name]()
    found = next(iter(data.splits.values())).modality
    if found is not modality:
        raise UserError(
            f"{settings.name} are {found.plural}, and the model takes {modality.plural}; take --data.name "
            f"{modality.bundled}, or another --model.family."
        )
    return data


def open_source(settings: DataSettings, *, modality: Modality = IMAGE, archives_around: int = 0) -> ImageData:
    """digits or moving_digits, parquet files, a folder of class folders, or a data set on the Hub.

    archives_around: that were unpacked on the way.
    """
    if settings.name in BUNDLED:
        return bundled(settings, modality)
    path = Path(settings.name).expanduser()
    tree = scan(str(path), modality, frames=settings.frames) if path.is_dir() else None
    if shards := shards_of(path, settings, tree):
        return (stream_webdataset if settings.streaming else open_webdataset)(shards, settings, modality)
    if path.is_file() and is_archive(path):
        return open_archive(path, settings, modality, archives_around)
    if path.is_file() and not settings.streaming and is_table(path):
        return open_table_of_files(path, settings, modality)
    if tree is not None and not holds_parquet(tree):
        around, archives = archives_in(tree)
        if archives:
            return open_archives(around, archives, settings, modality, archives_around)
        if settings.frames is not None and not tree.count:
            raise UserError(
                f"data.frames: no file under {path} is called as {settings.frames!r} says; give a pattern of the names "
                'of frames, such as "img_*.jpg", or leave it out.'
            )
        if not settings.streaming:
            refuse_settings_of_tables(settings, "a folder", only=("subset", "revision"))
            return open_folder(tree, settings, modality)
    # Importing datasets costs a second or two that digits and folders need not pay.
    from .records import load_from_hub, load_parquet, open_records, open_streamed

    if settings.streaming:
        return open_streamed(settings, modality=modality)
    return open_records(load_parquet(path) if path.exists() else load_from_hub(settings), settings, modality=modality)


def shards_of(path: Path, settings: DataSettings, tree: Folder | None) -> list[Path]:
    """The tar files of a WebDataset: one, a folder of them, or a pattern of their names; empty for other data."""
    if settings.layout not in (None, "webdataset"):
        return []
    if tree is not None:
        shards = [] if tree.count and settings.layout is None else shards_in(tree.other_files())
    else:
        shards = expanded(settings.name) if is_tar(path) and (path.is_file() or "{" in settings.name) else []
    if shards and (settings.layout == "webdataset" or is_webdataset(shards[0])):
        return shards
    if settings.layout == "webdataset":
        raise UserError(
            f"data.layout webdataset: {settings.name} is no tar file, folder or pattern (a-{{00..09}}.tar) of them."
        )
    return []


def holds_parquet(tree: Folder) -> bool:
    """Whether a folder's images are in parquet files."""
    tables = (Path(name) for name in tree.other_files() if suffix_of(name) == "parquet")
    return not tree.count and any(map(holds_pictures, tables))


def open_archive(path: Path, settings: DataSettings, modality: Modality, around: int = 0) -> ImageData:
    """around: the archives that this one lies in."""
    refuse_settings_of_tables(settings, "an archive", only=("subset", "revision", "streaming"))
    if around >= ARCHIVES_IN_ARCHIVES:
        raise UserError(f"{path} is an archive in an archive in an archive; unpack it yourself and name the folder.")
    folder = str(unpacked(path))
    inside = settings.model_copy(update={"name": folder})
    data = open_source(inside, modality=modality, archives_around=around + 1)
    return replace(data, understood=[line.replace(folder, str(path)) for line in data.understood])


def open_archives(
    tree: Folder, archives: list[Path], settings: DataSettings, modality: Modality, around: int = 0
) -> ImageData:
    """A folder of archives: of one alone what it holds, of several the folder that they would be unpacked.

    Raises: UserError where that is not clear.
    """
    refuse_settings_of_tables(settings, "a folder of archives", only=("subset", "revision", "streaming"))
    if around >= ARCHIVES_IN_ARCHIVES:
        raise UserError(f"{archives[0]} is an archive in an archive in an archive; unpack it yourself.")
    tree = with_tables(tree, [path for path in archives if holds_table(path)], modality)
    archives = [path for path in archives if not holds_table(path)]
    if len(archives) == 1 and not tree.count and not tables_near(tree):
        return open_archive(archives[0], settings, modality, around)
    if archives:
        settings = meaning(tree, archives, settings)
    if not tree.filled:
        tree = with_folders(tree, archives, modality, settings.frames)
    return open_folder(tree, settings, modality)


def open_table_of_files(path: Path, settings: DataSettings, modality: Modality) -> ImageData:
    """A table, whose files lie beside it, or in archives beside it."""
    try:
        return open_table_file(path, settings, modality)
    except NoFiles:
        tree, archives = archives_in(scan(str(path.parent), modality, frames=settings.frames))
        archives = [one for one in archives if not holds_table(one)]
        if tree.filled or not archives:
            raise
    return open_table_file(path, settings, modality, with_folders(tree, archives, modality, settings.frames))


def with_frames(table: ImageTable, settings: DataSettings) -> ImageTable:
    """The same videos, of whose folders the recipe says which files are frames."""
    return replace(table, reading=replace(table.reading, frames=settings.frames))


def open_data(settings: DataSettings, *, modality: Modality = IMAGE) -> ImageData:
    """The splits to train and to test on, with labels that mean something."""
    if settings.frames is not None and "frames" not in modality.processor_settings:
        raise UserError(f"data.frames {settings.frames} is of videos, and the model takes {modality.plural}.")
    data = open_source(settings, modality=modality)
    if settings.frames is not None:
        data = replace(data, splits={name: with_frames(table, settings) for name, table in data.splits.items()})
    if len(data.label_names) < 2 and data.problem_type == "single_label_classification":
        raise UserError(f"{settings.name} has one class, {data.label_names[0]!r}; a classifier needs two or more.")
    for split, table in data.splits.items():
        if not len(table):
            raise UserError(f"The split {split!r} of {settings.name} is empty.")
        refuse_strange_labels(table, data.label_names, split)
    return cut(data, settings) if "train" in data.splits or data.stream is not None else data
