"""Readers of further formats, where they are installed: HEIC by pillow-heif, AVIF by Pillow itself or its plugin."""

from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from PIL import features

HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1")
AVIF_BRANDS = (b"avif", b"avis")


@cache
def register_readers() -> frozenset[str]:
    """Tell Pillow of the readers that are installed, once a process. -> the formats that can be read: heic, avif"""
    readable = set()
    if find_spec("pillow_heif"):
        heif: Any = import_module("pillow_heif")
        heif.register_heif_opener()
        readable.add("heic")
    if "avif" in features.modules and features.check("avif"):  # Pillow 11.3 is the first that knows the word
        readable.add("avif")
    if "avif" not in readable and find_spec("pillow_avif"):
        import_module("pillow_avif")
        readable.add("avif")
    return frozenset(readable)


def missing_reader(source: Path | bytes) -> str | None:
    """What would read an image that is in a file or in bytes, where it is not installed."""
    readable = register_readers()
    if isinstance(source, bytes):
        start = source[:16]
    else:
        with source.open("rb") as file:
            start = file.read(16)
    if start[4:8] != b"ftyp":
        return None
    if start[8:12] in HEIC_BRANDS and "heic" not in readable:
        return "it is a HEIC image; to read those: pip install pillow-heif"
    if start[8:12] in AVIF_BRANDS and "avif" not in readable:
        return "it is an AVIF image; to read those: pip install 'pillow>=11.3'"
    return None
