"""A model of the Hub as a folder on this machine: one commit, whole, and as it was sent."""

import hashlib
from pathlib import Path

from ..conversion.hub import fetch

MODEL = ["*.json", "model.safetensors", "model-*.safetensors"]
CODE = ["*.py"]


def model_folder(name: str, *, code: bool = False) -> Path:
    """A folder as it is; of an id on the Hub, with a revision or without, the model's files in the cache.

    code: whether to fetch the code that lies beside the weights.

    Raises: ValueError for what cannot be fetched, and for files in the cache that are damaged.
    """
    if Path(name).is_dir():
        return Path(name)
    folder = fetch(name, MODEL + CODE if code else MODEL)
    refuse_damaged(folder, name)
    return folder


def hash_of(file: Path, kind: str) -> str:
    """As the Hub names contents: by SHA-256 where they are large, by git's hash where they are small."""
    if kind == "sha256":
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    content = file.read_bytes()
    return hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()


def damaged_files(folder: Path) -> list[Path]:
    """Those in a folder of the cache that are not what the Hub sent. No network is needed: a file there is a link to
    one that is named by its hash. Where links are not possible, nothing is known and nothing found."""
    found = []
    for link in sorted(folder.rglob("*")):
        if link.is_symlink() and link.is_file():
            file = link.resolve()
            kind = {64: "sha256", 40: "git"}.get(len(file.name))
            if kind and hash_of(file, kind) != file.name:
                found.append(link)
    return found


def refuse_damaged(folder: Path, name: str) -> None:
    """Downloads are checked for their size, and what lies in the cache for nothing at all."""
    if damaged := damaged_files(folder):
        files = ", ".join(str(file.relative_to(folder)) for file in damaged)
        remove = " ".join(str(file.resolve()) for file in damaged)
        raise ValueError(
            f"{files} of {name} is damaged in the cache: its content is not what its hash says. "
            f"Delete it (rm {remove}), and it is downloaded again."
        )
