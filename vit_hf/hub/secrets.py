"""What must not leave this machine: keys, and paths that say whose machine it is."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

SECRETS = {
    "a token of the Hub": re.compile(r"\bhf_[A-Za-z0-9]{16,}"),
    "a key of AWS": re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    "a token of GitHub": re.compile(r"\bgh[pousr]_[A-Za-z0-9]{20,}"),
    "a secret key": re.compile(r"\bsk-[A-Za-z0-9_-]{20,}"),
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    "a password in an address": re.compile(r"\w+://[^\s/:@]+:[^\s/@]+@"),
}
# Not those after a colon or a word, which are addresses and divisions.
PATHS = {
    "a path on this machine": re.compile(r"(?<![\w:/.~\])-])/[\w.-]+/[\w./-]+|(?<!\w)~/[\w./-]+"),
    "a path on a Windows machine": re.compile(r"(?<!\w)[A-Za-z]:\\+\w[^\s\"']*"),
}
TEXTS = (".json", ".md", ".yaml", ".yml", ".txt")


def findings(text: str) -> Iterator[tuple[int, str, str]]:
    """-> the number of each line that should not be published, what is on it, and its beginning"""
    for number, line in enumerate(text.splitlines(), start=1):
        for what, pattern in SECRETS.items():
            if found := pattern.search(line):
                yield number, what, f"{found[0][:6]}..."
        for what, pattern in PATHS.items():
            if found := pattern.search(line):
                yield number, what, found[0]


def refuse_secrets(folder: Path, names: Iterable[str]) -> None:
    """Raises: ValueError that names each file, line and kind."""
    lines = [
        f"{name}, line {number}: {what} ({shown})"
        for name in names
        if Path(name).suffix in TEXTS and name != "model.safetensors.index.json"
        for number, what, shown in findings((folder / name).read_text(encoding="utf-8"))
    ]
    if lines:
        listed = "\n  ".join(lines[:10]) + (f"\n  and {len(lines) - 10} more" if len(lines) > 10 else "")
        raise ValueError(
            f"{folder} holds what should not be published:\n  {listed}\n"
            "Take it out of the files (a relative path does as well); a key that was in a file should be revoked."
        )
