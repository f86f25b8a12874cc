"""Whether files in the cache of the Hub are what the Hub sent.

Downloads are checked for their size, and what lies in the cache for nothing at all. But a file there is a link to one
that is named by its hash, so that the check needs no network. Where links are not possible, nothing is known of it.
"""

import hashlib
from pathlib import Path


def hash_of(file: Path, kind: str) -> str:
    """As the Hub names contents: by their SHA-256 where they are large, by git's hash where they are small."""
    if kind == "sha256":
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    content = file.read_bytes()
    return hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()


def damaged_files(folder: Path) -> list[Path]:
    found = []
    for link in sorted(folder.rglob("*")):
        if link.is_symlink() and link.is_file():
            file = link.resolve()
            kind = {64: "sha256", 40: "git"}.get(len(file.name))
            if kind and hash_of(file, kind) != file.name:
                found.append(link)
    return found


def refuse_damaged(folder: Path, name: str) -> None:
    if damaged := damaged_files(folder):
        files = ", ".join(str(file.relative_to(folder)) for file in damaged)
        remove = " ".join(str(file.resolve()) for file in damaged)
        raise ValueError(
            f"{files} of {name} is damaged in the cache: its content is not what its hash says. "
            f"Delete it (rm {remove}), and it is downloaded again."
        )
