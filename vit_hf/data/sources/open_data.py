"""From `data.name` to tables of images or videos: the one place that knows every kind of source."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ...errors import UserError
from ...modality import IMAGE, Modality
from ..settings import DataSettings
from .archives import is_archive, unpacked
from .digits import digits, moving_digits
from .folders import Folder, scan, suffix_of
from .open_folder import is_table, open_folder, open_table_file
from .splits import cut
from .table_files import holds_pictures
from .tables import ImageData, refuse_strange_labels
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


def open_source(settings: DataSettings, *, modality: Modality = IMAGE) -> ImageData:
    """digits or moving_digits, parquet files, a folder of class folders, or a data set on the Hub."""
    if settings.name in BUNDLED:
        return bundled(settings, modality)
    path = Path(settings.name).expanduser()
    tree = scan(str(path), modality) if path.is_dir() else None
    if shards := shards_of(path, settings, tree):
        return (stream_webdataset if settings.streaming else open_webdataset)(shards, settings, modality)
    if path.is_file() and is_archive(path):
        return open_archive(path, settings, modality)
    if path.is_file() and not settings.streaming and is_table(path):
        return open_table_file(path, settings, modality)
    if tree is not None and not settings.streaming:
        tables = [Path(name) for name in tree.other_files() if suffix_of(name) == "parquet"]
        if tree.count or not any(map(holds_pictures, tables)):
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


def open_archive(path: Path, settings: DataSettings, modality: Modality) -> ImageData:
    refuse_settings_of_tables(settings, "an archive", only=("subset", "revision", "streaming"))
    folder = str(unpacked(path))
    data = open_source(settings.model_copy(update={"name": folder}), modality=modality)
    return replace(data, understood=[line.replace(folder, settings.name) for line in data.understood])


def open_data(settings: DataSettings, *, modality: Modality = IMAGE) -> ImageData:
    """The splits to train and to test on, with labels that mean something."""
    data = open_source(settings, modality=modality)
    if len(data.label_names) < 2 and data.problem_type == "single_label_classification":
        raise UserError(f"{settings.name} has one class, {data.label_names[0]!r}; a classifier needs two or more.")
    for split, table in data.splits.items():
        if not len(table):
            raise UserError(f"The split {split!r} of {settings.name} is empty.")
        refuse_strange_labels(table, data.label_names, split)
    return cut(data, settings) if "train" in data.splits or data.stream is not None else data
