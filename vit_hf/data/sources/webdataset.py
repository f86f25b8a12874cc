"""WebDataset: tar files whose members belong together by their names, 0001.jpg and 0001.cls; read where they lie."""

import gzip
import json
import re
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...errors import UserError, first_few
from ...modality import Modality
from ..settings import DataSettings
from .archives import BROKEN_ARCHIVES, GZIP_ENDINGS, TAR_ENDINGS, stem_of, without_gzip
from .image_folders import understood
from .label_columns import LABEL_WORDS, Labels, find_labels
from .split_names import spelled, split_called
from .tables import ImageData, ImageTable, StreamedTable

LABEL_ENDINGS = ("cls", "json", "txt", "cls2", "label")
RECORDS_LOOKED_AT = 64  # members that tell what a tar file is
BRACES = re.compile(r"\{(\d+)\.\.(\d+)\}")


class Place(NamedTuple):
    """A member of a tar file: where in it that begins and how long it is. content: of a file that is read in order."""

    tar: str
    start: int
    size: int
    content: bytes | None = None


Sample = tuple[str, Place, dict[str, Any]]  # its name, where its image is, and its other fields


def expanded(pattern: str) -> list[Path]:
    """shard-{000..002}.tar -> the three files. Raises: UserError where one is not there."""
    found = BRACES.search(pattern)
    if found is None:
        return [Path(pattern).expanduser()]
    first, last = found.groups()
    numbers = (f"{number:0{len(first)}d}" for number in range(int(first), int(last) + 1))
    paths = [
        path for number in numbers for path in expanded(pattern[: found.start()] + number + pattern[found.end() :])
    ]
    if not paths:
        raise UserError(f"{pattern} counts from {first} to {last}, which is no file; write the smaller number first.")
    if missing := [path for path in paths if not path.is_file()]:
        raise UserError(f"Of {pattern}, {first_few(missing)} is not there.")
    return paths


def parts_of_name(name: str) -> tuple[str, str]:
    """a/0001.left.jpg -> a/0001, left.jpg: as the format has it, up to the first dot"""
    folder, slash, file = name.rpartition("/")
    stem, _, ending = file.partition(".")
    return folder + slash + stem, ending.lower()


def is_webdataset(path: Path) -> bool:
    """Whether in a tar file labels belong to images by their names. One that cannot be read is none."""
    if not is_tar(path):
        return False
    seen: dict[str, set[str]] = {}
    try:
        with opened_tar(path, in_order=True) as archive:
            for member, _ in zip(archive, range(RECORDS_LOOKED_AT), strict=False):
                stem, ending = parts_of_name(member.name)
                seen.setdefault(stem, set()).add(ending.rpartition(".")[2])
    except BROKEN_ARCHIVES:
        return False
    return any(endings & {*LABEL_ENDINGS} and endings - {*LABEL_ENDINGS} for endings in seen.values())


def is_tar(path: Path) -> bool:
    return path.name.lower().endswith(TAR_ENDINGS)


def is_gzip(path: Path) -> bool:
    return path.name.lower().endswith(GZIP_ENDINGS)


def shards_in(tree_files: Sequence[str]) -> list[Path]:
    return [path for path in map(Path, tree_files) if is_tar(path)]


@contextmanager
def opened_tar(path: Path, *, in_order: bool) -> Iterator[tarfile.TarFile]:
    """in_order: whether a .tar.gz is read from its beginning on, and not first written without its compression."""
    if in_order and is_gzip(path):  # by gzip, which reads files of several parts where tarfile stops after the first
        with gzip.open(path) as file, tarfile.open(fileobj=file, mode="r|") as archive:
            yield archive
    else:
        with tarfile.open(without_gzip(path) if is_gzip(path) else path, "r:") as archive:
            yield archive


def samples_of(path: Path, modality: Modality, *, in_order: bool = False) -> Iterator[Sample]:
    """in_order: as in `opened_tar`. Raises: UserError for a broken file."""
    sample: dict[str, Any] = {}
    image: Place | None = None
    before: str | None = None
    try:
        with opened_tar(path, in_order=in_order) as archive:
            for member in archive:
                if not member.isreg() or parts_of_name(member.name)[0].rpartition("/")[2] == "":
                    continue
                stem, ending = parts_of_name(member.name)
                if stem != before:
                    if before is not None and image is not None:
                        yield before, image, sample
                    sample, image, before = {}, None, stem
                kind = ending.rpartition(".")[2]
                if kind in modality.endings:
                    image = image or place_of_member(member, archive, path, in_order=in_order)
                elif kind in LABEL_ENDINGS:
                    file: Any = archive.extractfile(member)
                    sample |= sample_fields(kind, file.read(), f"{path}: {member.name}")
    except BROKEN_ARCHIVES as error:
        raise error if isinstance(error, UserError) else UserError(f"{path} cannot be read: {error}") from error
    if before is not None and image is not None:
        yield before, image, sample


def place_of_member(member: tarfile.TarInfo, archive: tarfile.TarFile, path: Path, *, in_order: bool) -> Place:
    if is_gzip(path) and in_order:
        file: Any = archive.extractfile(member)
        return Place(str(path), member.offset_data, member.size, file.read())
    return Place(str(archive.name), member.offset_data, member.size)


def sample_fields(kind: str, data: bytes, name: str) -> dict[str, Any]:
    """The values that a member says, by the columns that they belong to."""
    try:
        text = data.decode("utf-8-sig").strip()
        if kind != "json":
            return {kind: int(text) if kind == "cls" and text.lstrip("-").isdigit() else text}
        found = json.loads(text)
    except ValueError as error:
        raise UserError(f"{name} cannot be read: {error}") from error
    return found if isinstance(found, dict) else {"json": found}


def read_member(sample: Sample, name: str) -> bytes:
    place = sample[1]
    if place.content is not None:
        return place.content
    with Path(place.tar).open("rb") as file:
        file.seek(place.start)
        return file.read(place.size)


def name_sample(sample: Sample, row: int) -> str:
    """shards/train-0.tar.gz -> train-0.tar/0001, compressed or not"""
    return f"{stem_of(Path(sample[1].tar))}.tar/{sample[0]}"


def splits_of(shards: Sequence[Path]) -> dict[str, list[Path]]:
    """The shards of each split, by their names or those of their folders; train is what says nothing else."""
    found: dict[str, list[Path]] = {}
    for shard in shards:
        spelling = spelled(stem_of(shard))
        split = spelling.split if spelling else split_called(shard.parent.name)
        found.setdefault(split or "train", []).append(shard)
    return {split: found[split] for split in ("train", "validation", "test") if split in found}


def open_webdataset(shards: Sequence[Path], settings: DataSettings, modality: Modality) -> ImageData:
    """All samples of all shards, which stay where they are; no image is read yet."""
    return data_of_samples(splits_of(shards), shards, settings, modality)[0]


def data_of_samples(
    splits: dict[str, list[Path]], shards: Sequence[Path], settings: DataSettings, modality: Modality
) -> tuple[ImageData, Labels]:
    samples = {
        split: [one for shard in found for one in samples_of(shard, modality)] for split, found in splits.items()
    }
    if not any(samples.values()):
        raise UserError(f"{first_few(shards)} hold no {modality.plural}.")
    first = next(iter(samples))
    columns = {name: [sample.get(name) for _, _, sample in samples[first]] for name in fields_in(samples[first])}
    if settings.label_column is None and settings.label_columns is None and "cls" in columns:
        columns = {"cls": columns["cls"]}  # the format's own word for a class
    labels = find_labels(columns, settings)
    tables, unlabeled = {}, None
    for split, found in samples.items():
        table, has_labels = table_of_samples(found, split, labels, settings, modality)
        if has_labels or split == first:
            tables[split] = table
        else:
            unlabeled = table
    tars = f"{len(shards)} tar file{'s' * (len(shards) > 1)}"
    lines = understood(
        f"{settings.name}: WebDataset in {tars}, labels by {labels.described()}",
        tables,
        labels.names,
        labels.problem_type,
        modality,
        aside=["a split"],
        set_aside=len(unlabeled) if unlabeled is not None else 0,
    )
    kind = labels.problem_type
    return ImageData(tables, labels.names, problem_type=kind, unlabeled=unlabeled, understood=lines), labels


def table_of_samples(
    samples: Sequence[Sample], split: str, labels: Labels, settings: DataSettings, modality: Modality
) -> tuple[ImageTable, bool]:
    """-> the items of a split, and whether they have labels"""
    rows = [[sample.get(name) for name in labels.columns] for _, _, sample in samples]
    missing = [stem for (stem, _, _), row in zip(samples, rows, strict=True) if labels.is_missing(row)]
    hidden = len(missing) == len(samples)
    if missing and not hidden:
        raise UserError(f"{len(missing):,} samples of {split!r} have no {labels.described()}: {first_few(missing)}.")
    try:
        encoded = np.full(len(rows), -1) if hidden else [labels.of_row(row) for row in rows]
    except (KeyError, ValueError) as error:
        raise UserError(f"A label of {split!r}, {error}, is none of the first split's, or no number.") from error
    column = settings.group_column
    table = ImageTable.of(
        samples,
        encoded,
        source=read_member,
        name=name_sample,
        check_finite=settings.check_finite,
        modality=modality,
        groups=None if column is None else [str(sample.get(column)) for _, _, sample in samples],
    )
    return table, not hidden


class TarStream:
    """The samples of some tar files, one after the other; it can go on from any of them."""

    def __init__(self, paths: Sequence[Path], modality: Modality):
        self.paths, self.modality, self.passed = paths, modality, 0

    def __iter__(self) -> Iterator[Sample]:
        samples = chain.from_iterable(samples_of(path, self.modality, in_order=True) for path in self.paths)
        for sample in islice(samples, self.passed, None):
            self.passed += 1
            yield sample

    def state_dict(self) -> dict[str, int]:
        return {"passed": self.passed}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.passed = state["passed"]


class TarShards(TarStream):
    """Each file is a shard."""

    def __init__(self, paths: Sequence[Path], modality: Modality):
        super().__init__(paths, modality)
        self.num_shards = len(paths)

    def shard(self, num_shards: int, index: int) -> TarStream:
        return TarStream(self.paths[index::num_shards], self.modality)


def label_of_sample(sample: Sample, name: str, *, labels: Labels) -> Any:
    row = [sample[2].get(column) for column in labels.columns]
    try:
        return labels.of_row(row)
    except (KeyError, ValueError) as error:
        raise UserError(
            f"{name}: its label {first_few(map(repr, row))} is none of the {len(labels.names)} of the split to test "
            "on, as a stream is not read beforehand; correct it, or leave out data.streaming."
        ) from error


def stream_webdataset(shards: Sequence[Path], settings: DataSettings, modality: Modality) -> ImageData:
    """The train split as a stream, the others as tables."""
    splits = splits_of(shards)
    train = splits.pop("train", None)
    if train is None or not splits:
        raise UserError(
            f"data.streaming: {settings.name} needs tar files called train and others called test or validation, as "
            "none can be held out of a stream; or leave streaming out."
        )
    data, labels = data_of_samples(splits, shards, settings, modality)
    stream = StreamedTable(
        TarShards(train, modality),
        source=read_member,
        name=partial(name_sample, row=0),
        label=partial(label_of_sample, labels=labels),
        modality=modality,
    )
    return replace(data, stream=stream)


def fields_in(samples: Sequence[Sample]) -> list[str]:
    """Those that hold one value, in the order in which they come; captions come after what is called like a label."""
    names = dict.fromkeys(name for _, _, sample in samples for name in sample)
    return sorted(names, key=lambda name: name.lower() not in (*LABEL_WORDS, "cls"))
