"""Where a source lies: a path as it is, or the id of a repository on the Hub, whose files are fetched."""

from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)

FACTS = ["*.json", "README.md", "*.txt"]
SAFE = ["model*.safetensors"]
# Fetched only where there are no safetensors.
OTHERS = ["pytorch_model*.bin", "*.npz", "*.pth"]


def local(source: Any) -> Path:
    """The file or folder. Raises: ValueError where there is neither, nor such a repository that can be reached."""
    path = Path(source).expanduser()
    if path.exists():
        return path
    if path.is_absolute() or str(source).startswith(".") or len(path.parts) != 2 or path.suffix in (".npz", ".pth"):
        raise ValueError(f"There is no file or folder {source}; the id of a model on the Hub is written owner/name.")
    folder = fetch(str(source), FACTS + SAFE)
    if any(folder.glob(SAFE[0])):
        return folder
    return fetch(str(source), FACTS + OTHERS)


def fetch(repository: str, patterns: list[str]) -> Path:
    try:
        return Path(snapshot_download(repository, allow_patterns=patterns))
    except GatedRepoError as error:
        raise ValueError(
            f"{repository} is on the Hub, but only for those who accepted its licence there; do so on "
            f"https://huggingface.co/{repository}, and log in with `hf auth login`."
        ) from error
    except (RepositoryNotFoundError, EntryNotFoundError, HFValidationError) as error:
        if isinstance(error, LocalEntryNotFoundError):
            raise unreachable(repository, error) from error
        raise ValueError(
            f"There is no file or folder {repository}, and no such model on the Hub; is it spelt as on its page, and "
            "if it is private, are you logged in (`hf auth login`)?"
        ) from error
    except (OfflineModeIsEnabled, HfHubHTTPError, OSError) as error:
        raise unreachable(repository, error) from error


def unreachable(repository: str, error: Exception) -> ValueError:
    reason = str(error).split("\n")[0]
    return ValueError(
        f"There is no file or folder {repository}, and the Hub cannot be reached ({reason}). Download the model where "
        f"there is a network (`hf download {repository}`), and give the folder."
    )
