"""What a split was, as a file: a line for each image with its name, the hash of its content, its label and its part.

It tells the images of a model from others when they are evaluated, resumed with, or trained on again under any name.
Names and hashes are private; the file is published only when that is asked for.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from ...errors import UserError, first_few
from ...files import aside_of, user_cache
from .archives import UNPACKED
from .contents import with_hashes
from .tables import ImageData, ImageTable

SPLIT_FILE = "split.jsonl"
NEW = "new"  # in place of a part
EXAMPLES_NAMED = 3  # of the images of each kind of difference

Label = str | list[str] | list[float]


@dataclass(frozen=True)
class Entry:
    """name: of the image, from the folder of the data on. group: what stays together with it, if anything does."""

    name: str
    hash: str
    label: Label
    part: str
    group: str | None = None


@dataclass(frozen=True)
class SplitRecord:
    """entries: in the order of the parts. source: the folder or file of the data, None where that is neither."""

    entries: list[Entry]
    source: str | None = None

    @classmethod
    def of(cls, data: ImageData, name: str) -> "SplitRecord":
        """name: as `data.name` says it."""
        path = Path(name).expanduser()
        root = (path if path.is_dir() else path.parent) if path.exists() else None
        found = [entry for part in data.splits for entry in entries_of(data, part, root)]
        return cls(found, None if root is None else str(path.resolve()))

    def lay_in(self, name: str) -> bool:
        """Whether the data is what this path leads to."""
        return self.source is not None and Path(name).expanduser().resolve() == Path(self.source)

    @classmethod
    def load(cls, path: Path) -> "SplitRecord":
        """Raises: UserError for a file that is none, or damaged."""
        try:
            head, *lines = path.read_text(encoding="utf-8").splitlines()
            return cls([Entry(**json.loads(line)) for line in lines], json.loads(head)["source"])
        except (ValueError, TypeError, KeyError) as error:
            raise UserError(
                f"{path} is not the split of a model ({error}); take the one that training wrote."
            ) from error

    def save(self, path: Path) -> None:
        """Whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [json.dumps({"source": self.source}, ensure_ascii=False)]
        lines += [json.dumps(without_nothing(entry), ensure_ascii=False) for entry in self.entries]
        aside = aside_of(path)
        aside.write_text("\n".join(lines) + "\n", encoding="utf-8")
        aside.replace(path)

    @cached_property
    def parts(self) -> dict[str, str]:
        """The part of each content. One that was in several is of that which weighs most: train before validation."""
        order = {"test": 0, "validation": 1, "train": 2}
        return {entry.hash: entry.part for entry in sorted(self.entries, key=lambda entry: order.get(entry.part, 0))}

    @cached_property
    def groups(self) -> dict[str, str]:
        return {entry.group: entry.part for entry in self.entries if entry.group is not None}

    @cached_property
    def digest(self) -> str:
        """Of every image with its label and part, in order; not of where the data lies."""
        lines = hashlib.sha256()
        for entry in self.entries:
            lines.update(json.dumps([entry.name, entry.hash, entry.label, entry.part]).encode())
        return lines.hexdigest()

    def part_of(self, table: ImageTable) -> np.ndarray:
        """-> for each image the part that it was in, `NEW` for one that was in none"""
        hashes = with_hashes(table).hashes
        return np.array(
            [self.parts.get(one, NEW) for one in ([] if hashes is None else hashes.tolist())], dtype=np.str_
        )

    def differences(self, now: "SplitRecord") -> list[str]:
        """A line for each kind of change from this split to another, with the first of the images it is true of."""
        before, after = by_name(self.entries), by_name(now.entries)
        moved_to = {entry.hash: name for name, entry in after.items() if name not in before}
        changes: dict[str, list[str]] = {}
        for name, entry in before.items():
            if (other := after.get(name)) is None:
                new_name = moved_to.get(entry.hash)
                kind, about = ("missing", name) if new_name is None else ("renamed", f"{name} (now {new_name})")
                changes.setdefault(kind, []).append(about)
                other = after.get(new_name or "")
            for kind, about in changes_between(entry, other):
                changes.setdefault(kind, []).append(f"{name} ({about})")
        known = {entry.hash for entry in self.entries}
        changes["new"] = [name for name, entry in after.items() if name not in before and entry.hash not in known]
        return [
            f"{len(names):,} {kind}: {first_few(names, EXAMPLES_NAMED)}" for kind, names in changes.items() if names
        ]


def entries_of(data: ImageData, part: str, root: Path | None) -> Iterator[Entry]:
    table = with_hashes(data.splits[part])
    hashes = [] if table.hashes is None else table.hashes.tolist()
    groups = [None] * len(table) if table.groups is None else table.groups.tolist()
    for index, (found, group) in enumerate(zip(hashes, groups, strict=True)):
        label = label_of(table.labels[index], data)
        yield Entry(name_within(table.name_of(index), root), found, label, part, group)


def name_within(name: str, root: Path | None) -> str:
    """From the folder of the data on, with slashes, or of what was unpacked; any other name stays as it is."""
    path = PurePath(name)
    if path.is_relative_to(unpacked := user_cache() / UNPACKED):
        return PurePath(*path.relative_to(unpacked).parts[1:]).as_posix()
    if root is not None and path.is_relative_to(root) and path != root:
        return path.relative_to(root).as_posix()
    return name


def label_of(label: Any, data: ImageData) -> Label:
    """The name of a class, the names of several, or numbers."""
    if data.problem_type == "single_label_classification":
        return data.label_names[int(label)]
    if data.problem_type == "multi_label_classification":
        return [name for name, value in zip(data.label_names, label.tolist(), strict=True) if value]
    return label.tolist()


def without_nothing(entry: Entry) -> dict[str, Any]:
    return {name: value for name, value in asdict(entry).items() if value is not None}


def by_name(entries: list[Entry]) -> dict[str, Entry]:
    """Where a name comes again, as rows of a table may, with its number."""
    seen: Counter[str] = Counter()
    found = {}
    for entry in entries:
        seen[entry.name] += 1
        found[entry.name if seen[entry.name] == 1 else f"{entry.name} #{seen[entry.name]}"] = entry
    return found


def changes_between(before: Entry, now: Entry | None) -> Iterator[tuple[str, str]]:
    """-> kinds of change, and what changed"""
    if now is None:
        return
    if before.hash != now.hash:
        yield "of another content", "another image under this name"
    if before.label != now.label:
        yield "of another label", f"{before.label} before, {now.label} now"
    if before.part != now.part:
        yield "in another part", f"{before.part} before, {now.part} now"
