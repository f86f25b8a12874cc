"""Which images are trained on, which choose among models, and which judge the last one: decided by what an image shows.

Each image has a place from 0 to 1 that follows from the hash of its content, or of its group, and from `split_seed`
alone. Test images come first, then validation, then training; so other images that come or go move none.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from ...errors import UserError
from ..settings import DataSettings
from .contents import with_hashes
from .split_record import NEW, SPLIT_FILE, SplitRecord
from .tables import ImageData, ImageTable

PARTS = ("train", "validation", "test")


def place_of(unit: str, seed: int) -> float:
    """From 0 to 1, evenly over units, and the same wherever it is asked for."""
    digest = hashlib.blake2b(f"{seed}:{unit}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


@dataclass(frozen=True)
class Shares:
    """Of all images those that test, and those that validate; the rest trains."""

    test: float
    validation: float

    @classmethod
    def of(cls, settings: DataSettings, with_test: bool, with_validation: bool) -> "Shares":
        """validation_fraction is of what is left to train on once the test images are away."""
        test = settings.test_fraction if with_test else 0.0
        return cls(test, settings.validation_fraction * (1 - test) if with_validation else 0.0)

    @property
    def wanted(self) -> list[str]:
        """From the first place to the last."""
        shares = {"test": self.test, "validation": self.validation, "train": 1.0}
        return [part for part, share in shares.items() if share > 0]

    def part_at(self, place: float) -> str:
        if place < self.test:
            return "test"
        return "validation" if place < self.test + self.validation else "train"


def divide_units(places: Mapping[str, float], shares: Shares) -> dict[str, str]:
    """The part of each unit. A part that would stay empty takes the unit that is nearest, from one that has others or
    matters less: training matters most, and validation least."""
    parts = {unit: shares.part_at(place) for unit, place in places.items()}
    middles = {"train": 1.0, "test": 0.0, "validation": shares.test + shares.validation / 2}
    by_weight = ("train", "test", "validation")
    for weight, part in enumerate(by_weight):
        if part in shares.wanted and part not in parts.values():
            counts = Counter(parts.values())
            lighter = by_weight[weight + 1 :]
            if givers := [unit for unit in places if counts[parts[unit]] > 1 or parts[unit] in lighter]:
                parts[min(givers, key=lambda unit: (abs(places[unit] - middles[part]), unit))] = part
    return parts


def part_of_each(table: ImageTable, shares: Shares, seed: int) -> np.ndarray:
    """-> the name of a part for each image. Classes are divided one by one; a group is of the class it shows most."""
    units = units_of(table)
    parts: dict[str, str] = {}
    for of_class in strata(table, units):
        parts |= divide_units({unit: place_of(unit, seed) for unit in of_class}, shares)
    return np.array([parts[unit] for unit in units.tolist()], dtype=object)


def units_of(table: ImageTable) -> np.ndarray:
    """What stays together: images of one group; without groups, of one content and class."""
    if table.groups is not None:
        return np.array([f"group {group}" for group in table.groups.tolist()])
    hashes = with_hashes(table).hashes
    return np.array([] if hashes is None else hashes)


def strata(table: ImageTable, units: np.ndarray) -> list[set[str]]:
    """The units of each class, which are divided by themselves; all in one where images have no class."""
    if table.labels.ndim > 1:
        return [set(units.tolist())]
    labels: dict[str, Counter[int]] = {}
    for unit, label in zip(units.tolist(), table.labels.tolist(), strict=True):
        labels.setdefault(unit, Counter())[label] += 1
    classes: dict[int, set[str]] = {}
    for unit, counts in labels.items():
        classes.setdefault(min(counts, key=lambda label: (-counts[label], label)), set()).add(unit)
    return [classes[label] for label in sorted(classes)]


def cut(data: ImageData, settings: DataSettings) -> ImageData:
    """Take what is missing of validation and test away from training; of a stream, validation from what tests it.

    Raises: UserError where a class, or the only group, is too small to be divided.
    """
    if data.stream is not None:
        return cut_from_held_out(data, settings)
    shares = Shares.of(settings, "test" not in data.splits, "validation" not in data.splits)
    if shares.wanted == ["train"]:
        return with_parts(data, {}, None)
    whole = with_hashes(data.split("train"))
    refuse_small(whole, data.label_names, shares)
    parts = part_of_each(whole, shares, settings.split_seed)
    if settings.split is not None:
        take_over(parts, whole, load_record(settings.split), shares)
    tables = {part: whole.select(np.flatnonzero(parts == part)) for part in shares.wanted}
    return with_parts(
        data, {part: table for part, table in tables.items() if len(table)}, origin(whole, shares, settings)
    )


def load_record(name: str) -> SplitRecord:
    """Of a model's folder, or of the file itself."""
    path = Path(name).expanduser()
    file = path / SPLIT_FILE if path.is_dir() else path
    if not file.is_file():
        raise UserError(
            f"data.split: {name} is neither a folder with {SPLIT_FILE} in it nor such a file; name the output "
            "folder of a training."
        )
    return SplitRecord.load(file)


def take_over(parts: np.ndarray, whole: ImageTable, record: SplitRecord, shares: Shares) -> None:
    """What was in a part stays in it, and what is of a group that was stays with it; the rest is as it was found."""
    if whole.groups is not None:
        of_groups = np.array([record.groups.get(group, NEW) for group in whole.groups.tolist()])
        adopt(parts, of_groups, shares)
    adopt(parts, record.part_of(whole), shares)


def adopt(parts: np.ndarray, others: np.ndarray, shares: Shares) -> None:
    known = np.isin(others, shares.wanted)
    parts[known] = others[known]


def cut_from_held_out(data: ImageData, settings: DataSettings) -> ImageData:
    """A stream is not read beforehand: validation comes from its test split, or the other way around."""
    held_out, missing = data.held_out, "validation" if "test" in data.splits else "test"
    if missing in data.splits or not settings.validation_fraction:
        return data
    whole = with_hashes(data.split(held_out))
    shares = Shares(0.0, settings.validation_fraction)
    parts = part_of_each(whole, shares, settings.split_seed)
    chosen = {"validation": whole.select(np.flatnonzero(parts == "validation"))}
    chosen["test"] = whole.select(np.flatnonzero(parts == "train"))
    return with_parts(data, chosen, origin(whole, shares, settings, "held-out "))


def with_parts(data: ImageData, tables: Mapping[str, ImageTable], origin: str | None) -> ImageData:
    """The same data with these splits in place of its own of the same names, in the usual order."""
    splits = {**data.splits, **tables}
    return replace(data, splits={part: splits[part] for part in PARTS if part in splits}, split_origin=origin)


def origin(whole: ImageTable, shares: Shares, settings: DataSettings, kind: str = "") -> str:
    """How the parts came about, for people."""
    named = {"test": shares.test, "validation": shares.validation}
    amounts = " and ".join(f"{share:.0%} for {part}" for part, share in named.items() if share)
    by = "the hash of its group" if whole.groups is not None else "the hash of its content, class by class"
    counted = whole.modality.counted(len(whole))
    return f"of the {kind}{counted}, {amounts} were set aside, each by {by} (seed {settings.split_seed})"


def refuse_small(whole: ImageTable, label_names: Sequence[str], shares: Shares) -> None:
    if whole.groups is not None:
        if (count := len(set(whole.groups.tolist()))) < len(shares.wanted):
            raise UserError(
                f"{count} groups cannot be divided into {', '.join(shares.wanted)}; bring more of them, or splits of "
                "your own, or leave out data.group_column and data.group_by."
            )
    elif whole.labels.ndim == 1:
        for name, count in zip(label_names, whole.class_counts(len(label_names)).tolist(), strict=True):
            if count < 2:
                raise UserError(
                    f"The class {name!r} has {whole.modality.counted(count)}, and needs at least 2: one to train on "
                    f"and one to test on. Add {whole.modality.plural}, remove the class, or bring a test split of your "
                    "own."
                )


def folds_of(data: ImageData, settings: DataSettings) -> list[ImageData]:
    """For each of `data.folds` folds the data in which that fold tests, and the others train and validate.

    What tests the finished model belongs to no fold.
    """
    if settings.folds is None:
        return []
    pool = rejoin([data.splits[part] for part in ("train", "validation") if comes_from(data, part)])
    classes = pool.labels if pool.labels.ndim == 1 and pool.labels.dtype.kind == "i" else np.zeros(len(pool), dtype=int)
    kind = StratifiedKFold if pool.groups is None else StratifiedGroupKFold
    divider = kind(settings.folds, shuffle=True, random_state=settings.split_seed)
    try:
        divided = list(divider.split(np.zeros(len(pool)), classes, pool.groups))
    except ValueError as error:
        raise UserError(f"data.folds: {settings.folds} folds cannot be made of these images: {error}") from error
    # Drawn anew, for the places from which validation would be taken are those of the images that test.
    anew = settings.model_copy(update={"split_seed": ~settings.split_seed, "split": None})
    splits = ({"train": pool.select(rest), "test": pool.select(fold)} for rest, fold in divided)
    return [cut(replace(data, splits=each), anew) for each in splits]


def comes_from(data: ImageData, part: str) -> bool:
    """Whether a part was cut from the train split."""
    return part in data.splits and data.splits[part].items is data.splits["train"].items


def rejoin(tables: Sequence[ImageTable]) -> ImageTable:
    """Parts that were cut from one table, in its order again."""
    order = np.concatenate([table.order for table in tables])
    places = np.argsort(order, kind="stable")

    def joined(values: list[np.ndarray | None]) -> np.ndarray | None:
        return None if any(one is None for one in values) else np.concatenate(values)[places]  # pyright: ignore[reportCallIssue,reportArgumentType]

    return replace(
        tables[0],
        order=order[places],
        labels=np.concatenate([table.labels for table in tables])[places],
        groups=joined([table.groups for table in tables]),
        hashes=joined([with_hashes(table).hashes for table in tables]),
    )
