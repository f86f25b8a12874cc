"""Under which licence a source stands, and what that forbids."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import metadata_load

NON_COMMERCIAL = ("-nc-", "noncommercial", "non-commercial")


def card_of(folder: Path) -> dict[str, Any]:
    """The YAML header of a model's card; empty where there is none."""
    card = folder / "README.md"
    return (metadata_load(card) if card.is_file() else None) or {}


def licence_of(card: Mapping[str, Any], pretrained_cfg: Mapping[str, Any] | None = None) -> str | None:
    """The licence that a card names, else the one that timm knows of; None where neither says any."""
    named = card.get("license")
    if named == "other":
        named = card.get("license_name") or named
    return named or (pretrained_cfg or {}).get("license")


def is_non_commercial(licence: str | None) -> bool:
    return any(word in f"{licence}-".lower() for word in NON_COMMERCIAL)


def licence_sentence(licence: str | None) -> str:
    """What a user must know of a licence, in one sentence."""
    if licence is None:
        return "The source names no licence; ask its authors before you publish what comes of it."
    if is_non_commercial(licence):
        return f"The source's licence is {licence}, which forbids commercial use, also of what is trained from it."
    return f"The source's licence is {licence}."
