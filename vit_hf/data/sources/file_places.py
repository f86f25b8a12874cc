"""Where the files lie that a table names: beside it, in a folder beside it, with or without an ending."""

import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from ...errors import UserError, first_few
from ...modality import Modality
from .folders import Folder, items_of_folder, scan, suffix_of
from .split_names import composed, split_called

ROWS_TRIED = 200  # rows that tell which folder a table speaks of
SPREAD = 0.1  # of them, more than that are not in any one folder where files are spread over several


def text_of(value: Any) -> str:
    """A cell as text: 7.0 -> 7"""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def as_path(value: Any) -> str:
    """A path as all systems write it; an empty text where there is none."""
    if isinstance(value, dict):
        value = value.get("path")
    if value is None or isinstance(value, bool | list):
        return ""
    text = composed(text_of(value).strip()).replace("\\", "/")
    return text[2:] if text.startswith("./") else text


def some_of(values: Sequence[Any]) -> Sequence[Any]:
    """Evenly from all of them"""
    return values[:: len(values) // ROWS_TRIED + 1]


def is_of_split(base: str, split: str) -> bool:
    return any(split_called(part) == split for part in base.split("/"))


class Places:
    """The files of a folder, by their paths in it. They are looked for first beside the table (`root`) itself."""

    def __init__(self, root: Path, modality: Modality, tree: Folder | None = None):
        self.root, self.modality, self.given = root, modality, tree

    @cached_property
    def tree(self) -> Folder:
        return self.given or scan(str(self.root), self.modality)

    @cached_property
    def known(self) -> dict[str, str]:
        """The path of a file in the folder -> its path"""
        return {composed(name): item for name, item in self.tree.named_items()}

    @cached_property
    def stems(self) -> dict[str, str | None]:
        """The same without endings; None for several files."""
        found: dict[str, str | None] = {}
        for name, path in self.known.items():
            stem = name.rpartition(".")[0] or name
            found[stem] = None if stem in found else path
        return found

    @cached_property
    def bases(self) -> list[str]:
        """The folders that paths may be relative to, with a slash behind."""
        folders, found = [("", self.tree)], [""]
        while folders and len(found) < 1000:
            below = [(base, child) for base, folder in folders for child in folder.filled if not child.are_one]
            folders = [(f"{base}{child.name}/", child) for base, child in below]
            found += [base for base, _ in folders]
        return found

    def look_up(self, base: str, name: str) -> str | None:
        if (found := self.known.get(base + name)) is not None:
            return found
        return self.stems.get(base + name) if suffix_of(name) not in self.modality.endings else None

    def share_of(self, values: Sequence[Any], split: str | None) -> float:
        """Of some values, how many name files."""
        some = [*filter(None, map(as_path, some_of(values)))]
        found = self.resolved(some, split)
        return sum(file is not None for file in found) / len(some) if some else 0.0

    def find(self, values: Sequence[Any], split: str | None, table: Path) -> list[str | None]:
        """-> the file of each value, or None

        Raises: UserError where they may be relative to several folders.
        """
        names = [as_path(value) for value in values]
        if any(name.startswith(("http://", "https://", "s3://", "gs://")) for name in names):
            raise UserError(f"{table} names files on the network; download them, and write their paths.")
        return self.resolved(names, split, refuse=table)

    def resolved(self, names: Sequence[str], split: str | None, refuse: Path | None = None) -> list[str | None]:
        some = some_of([name for name in names if name])
        if not some:
            return [None] * len(names)
        beside = [os.path.join(self.root, name) for name in some]  # noqa: PTH118
        whole = os.path.isabs(some[0]) and any(map(os.path.exists, some))  # noqa: PTH117
        if whole or all(os.path.exists(path) and self.modality.is_item(Path(path)) for path in beside):  # noqa: PTH110
            paths = [os.path.join(self.root, name) if name else "" for name in names]  # noqa: PTH118
            return [path if path and os.path.exists(path) else None for path in paths]  # noqa: PTH110
        for cut in range(8):  # absolute paths, or those of another machine, end as paths do here
            shorter = names if not cut else ["/".join(name.split("/")[cut:]) for name in names]
            some = some_of([name for name in shorter if name])
            if (base := self.base_of(some, split, refuse)) is None:
                continue
            if sum(self.look_up(base, name) is None for name in some) > SPREAD * len(some):
                return [self.anywhere(name, split) if name else None for name in shorter]
            return [self.look_up(base, name) if name else None for name in shorter]
        return [None] * len(names)

    def anywhere(self, name: str, split: str | None) -> str | None:
        """The only file that a name may mean, in whatever folder (of its split)"""
        bases = [base for base in self.bases if split is None or is_of_split(base, split)]
        found = {self.look_up(base, name) for base in bases} - {None}
        return found.pop() if len(found) == 1 else None

    def base_of(self, names: Sequence[str], split: str | None, refuse: Path | None) -> str | None:
        """-> the folder in which most of the names are found: the table's own before one that is called like its split,
        before others"""
        hits = {base: sum(self.look_up(base, name) is not None for name in names) for base in self.bases}
        most = max(hits.values(), default=0)
        if not most:
            return None
        best = [base for base, count in hits.items() if count == most]
        of_split = [base for base in best if split and is_of_split(base, split)]
        if "" in best:
            return ""
        best = of_split or best
        double = [name for name in names if len({self.look_up(base, name) for base in best} - {None}) > 1]
        if double and refuse is not None:
            raise UserError(
                f"{refuse} names files such as {double[0]!r}, which lie in several folders: {first_few(best)}. Write "
                "their paths relative to the table."
            )
        return best[0]

    def not_among(self, files: Sequence[str]) -> list[str]:
        """The items beside files that are used, which are not."""
        used = {*files}
        folders = dict.fromkeys(os.path.dirname(file) for file in files)  # noqa: PTH120
        return [item for folder in folders for item in items_of_folder(folder, self.modality) if item not in used]
