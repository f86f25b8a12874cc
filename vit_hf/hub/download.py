"""Where a source lies: a path as it is, or the id of a repository on the Hub, whose files are fetched."""

import shlex
from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download

from ..errors import UserError
from ..files import hash_of
from ..finished_folder import move_in
from .errors import explain_hub_errors

FACTS = ["*.json", "README.md", "*.txt"]
SAFE = ["model*.safetensors"]
# Fetched only where there are no safetensors.
OTHER_WEIGHTS = ["pytorch_model*.bin", "*.npz", "*.pth"]
SPELLING = "the id of a model on the Hub is written owner/name, or owner/name@revision."


def local(source: Any) -> Path:
    """The file or folder. Raises: UserError where there is neither, nor such a repository that can be reached."""
    path = Path(source).expanduser()
    if path.exists():
        move_in(path)  # a result that a killed process left on its way
        return path
    if path.is_absolute() or str(source).startswith(".") or path.suffix in (".npz", ".pth"):
        raise UserError(f"There is no file or folder {source}; {SPELLING}")
    folder = fetch(str(source), FACTS + SAFE)
    if any(folder.glob(SAFE[0])):
        return folder
    return fetch(str(source), FACTS + OTHER_WEIGHTS)


def split_revision(source: str) -> tuple[str, str | None]:
    """owner/name@revision -> owner/name, revision: a branch, a tag or a commit; None where none is said."""
    repository, _, revision = source.partition("@")
    if repository.count("/") != 1 or not all(repository.split("/")) or (not revision and "@" in source):
        raise UserError(f"There is no file or folder {source}; {SPELLING}")
    return repository, revision or None


def download(source: str, patterns: list[str] | None = None, **options: Any) -> Path:
    """The folder in the cache with all files of one commit whose names fit; those that are missing are downloaded."""
    repository, revision = split_revision(source)
    with explain_hub_errors(repository, revision):
        return Path(snapshot_download(repository, revision=revision, allow_patterns=patterns, **options))


def fetch(source: str, patterns: list[str]) -> Path:
    """As `download`. Raises: UserError too for files that are not what the Hub sent."""
    folder = download(source, patterns)
    refuse_damaged(folder, source)
    return folder


def damaged_files(folder: Path) -> list[Path]:
    found = []
    for link in sorted(folder.rglob("*")):
        if link.is_symlink() and link.is_file():
            file = link.resolve()
            # A blob in the cache is called by its hash, as the Hub has it.
            digits = len(file.name)
            if digits in (64, 40) and hash_of(file, "sha256" if digits == 64 else "git") != file.name:
                found.append(link)
    return found


def refuse_damaged(folder: Path, name: str) -> None:
    if damaged := damaged_files(folder):
        files = ", ".join(str(file.relative_to(folder)) for file in damaged)
        remove = shlex.join(str(file.resolve()) for file in damaged)
        raise UserError(
            f"{files} of {name} is damaged in the cache: its content is not what its hash says. "
            f"Delete it (rm {remove}), and it is downloaded again."
        )
