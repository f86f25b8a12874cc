"""From `data.name` to tables of images: the one place that knows every kind of source."""

from pathlib import Path

from .digits import digits
from .folders import scan_folder
from .settings import DataSettings
from .splits import hold_out
from .tables import ImageData, refuse_strange_labels


def open_source(settings: DataSettings) -> ImageData:
    """digits, parquet files, a folder of class folders, or a data set on the Hub."""
    if settings.name == "digits":
        return digits()
    path = Path(settings.name).expanduser()
    if path.is_dir() and not any(path.rglob("*.parquet")):
        return scan_folder(path, check_finite=settings.check_finite)
    # Importing datasets costs a second or two that digits and folders need not pay.
    from .records import load_from_hub, load_parquet, open_records

    return open_records(load_parquet(path) if path.exists() else load_from_hub(settings), settings)


def open_data(settings: DataSettings) -> ImageData:
    """The splits to train and to test on, with labels that mean something."""
    data = open_source(settings)
    for split, table in data.splits.items():
        if not len(table):
            raise ValueError(f"The split {split!r} of {settings.name} is empty.")
        refuse_strange_labels(table, data.label_names, split)
    if "train" not in data.splits:
        return data
    return hold_out(data, settings.test_fraction, settings.split_seed)
