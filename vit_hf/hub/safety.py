"""What a folder from strangers may not do: bring pickles, run code unasked, reach out of itself."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from transformers import CONFIG_MAPPING

from ..errors import UserError
from ..files import places_of_tensors, read_json

PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")


def refuse_unsafe(folder: Path, name: str, *, trust_remote_code: bool = False) -> None:
    """Raises: UserError with the reason and the safe way."""
    refuse_pickles(folder, name)
    refuse_outside(folder, name)
    if not trust_remote_code:
        refuse_code(folder, name)


def refuse_pickles(folder: Path, name: str) -> None:
    if any(folder.glob("model*.safetensors")):
        return
    pickles = ", ".join(sorted(file.name for kind in PICKLES for file in folder.glob(kind)))
    beside = f" ({pickles})" if pickles else " such as pytorch_model.bin"
    raise UserError(
        f"{name} has no model.safetensors. Pickles{beside} are not opened here, because a pickle can run any code as "
        "it is read. Let the convert command read them, which takes nothing but tensors out of them, or ask for "
        "safetensors."
    )


def refuse_outside(folder: Path, name: str) -> None:
    """An index or a configuration that names weights outside of the folder."""
    named = {"config.json": [read_json(folder / "config.json").get("transformers_weights")]}
    for index in folder.glob("*.index.json"):
        named[index.name] = [*places_of_tensors(index).values()]
    for file, paths in named.items():
        for path in paths:
            if path is not None and path != Path(str(path)).name:
                raise UserError(f"{file} of {name} names weights outside of its folder ({path}), which are not read.")


def refuse_code(folder: Path, name: str) -> None:
    """A model that nothing installed can build. What is installed is used instead of the code that comes along."""
    config = read_json(folder / "config.json")
    code: Any = config.get("auto_map")
    if not code or config.get("model_type") in CONFIG_MAPPING:
        return
    files = sorted({str(one).rpartition(".")[0] for one in code.values()})
    where = [file.replace("--", ": ") + ".py" for file in files]
    raise UserError(
        f"{name} is a model of its own kind ({config.get('model_type')}), built by code that comes with it "
        f"({', '.join(where)}), and code is not run unasked. Read it; if you trust it, add --trust-remote-code, and "
        "name the commit that you read, as owner/name@commit."
    )


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
    """Raises: UserError that names each file, line and kind."""
    lines = [
        f"{name}, line {number}: {what} ({shown})"
        for name in names
        if Path(name).suffix in TEXTS and name != "model.safetensors.index.json"
        for number, what, shown in findings((folder / name).read_text(encoding="utf-8"))
    ]
    if lines:
        listed = "\n  ".join(lines[:10]) + (f"\n  and {len(lines) - 10} more" if len(lines) > 10 else "")
        raise UserError(
            f"{folder} holds what should not be published:\n  {listed}\n"
            "Take it out of the files (a relative path does as well); a key that was in a file should be revoked."
        )
