"""From `data.name` to tables of images or videos: the one place that knows every kind of source."""

from pathlib import Path

from ...errors import UserError
from ...modality import IMAGE, Modality
from ..settings import DataSettings
from .digits import digits, moving_digits
from .folders import holds, scan_folder
from .splits import cut
from .tables import ImageData, refuse_strange_labels

FOR_TABLES = ("subset", "revision", "streaming", "image_column", "label_column")
FOR_TABLES += ("train_split", "validation_split", "test_split")


def refuse_settings_of_tables(settings: DataSettings, kind: str) -> None:
    """Columns and splits are named in tables only; elsewhere such a setting would go unheard."""
    for name in FOR_TABLES:
        if (value := getattr(settings, name)) not in (None, False):
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
    if path.is_dir() and not holds(path, ".parquet"):
        refuse_settings_of_tables(settings, "a folder of class folders")
        return scan_folder(path, check_finite=settings.check_finite, modality=modality)
    # Importing datasets costs a second or two that digits and folders need not pay.
    from .records import load_from_hub, load_parquet, open_records, open_streamed

    if settings.streaming:
        return open_streamed(settings, modality=modality)
    return open_records(load_parquet(path) if path.exists() else load_from_hub(settings), settings, modality=modality)


def open_data(settings: DataSettings, *, modality: Modality = IMAGE) -> ImageData:
    """The splits to train and to test on, with labels that mean something."""
    data = open_source(settings, modality=modality)
    if len(data.label_names) < 2:
        raise UserError(f"{settings.name} has one class, {data.label_names[0]!r}; a classifier needs two or more.")
    for split, table in data.splits.items():
        if not len(table):
            raise UserError(f"The split {split!r} of {settings.name} is empty.")
        refuse_strange_labels(table, data.label_names, split)
    return cut(data, settings) if "train" in data.splits or data.stream is not None else data
