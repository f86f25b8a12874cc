"""A hash of a model's weights: of the tensors themselves, however they are divided into files; and how a card
says it."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

HEAD_BYTES = 8  # of a safetensors file: how long the head is
LONGEST_HEAD = 100_000_000  # as safetensors has it
AT_ONCE = 1 << 24
IN_A_CARD = re.compile(r"SHA-256 of the tensors `([0-9a-f]{64})`")


def weight_files_of(folder: Path) -> list[Path]:
    return sorted(folder.glob("model*.safetensors"))


def weight_hash(folder: Path) -> str | None:
    """SHA-256 over name, kind, shape and bytes of each tensor, in the order of the names; None where there are none.

    Raises: ValueError for a file that is no safetensors.
    """
    places: dict[str, tuple[Path, int, dict[str, Any]]] = {}
    for file in weight_files_of(folder):
        with file.open("rb") as opened:
            size = int.from_bytes(opened.read(HEAD_BYTES), "little")
            if size > LONGEST_HEAD:
                raise ValueError(f"{file} is no safetensors file")
            head = json.loads(opened.read(size))
        head.pop("__metadata__", None)
        places |= {name: (file, HEAD_BYTES + size, entry) for name, entry in head.items()}
    if not places:
        return None
    found = hashlib.sha256()
    for name, (file, start, entry) in sorted(places.items()):
        found.update(json.dumps([name, entry["dtype"], entry["shape"]]).encode())
        begin, end = entry["data_offsets"]
        with file.open("rb") as opened:
            opened.seek(start + begin)
            while begin < end and (part := opened.read(min(AT_ONCE, end - begin))):
                found.update(part)
                begin += len(part)
    return found.hexdigest()


def hash_in_words(found: str | None) -> str:
    return f"SHA-256 of the tensors `{found}`"


def hash_named_in(card: str) -> str | None:
    """None where a card names no weights."""
    found = IN_A_CARD.search(card)
    return found[1] if found else None
