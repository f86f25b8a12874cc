"""Photos for the benchmark, made on the spot: smooth colors, a little noise, and the size of a camera's files."""

import io
from pathlib import Path

import numpy as np
from PIL import Image


def photo(height: int, width: int, seed: int, *, quality: int = 90) -> bytes:
    """A JPEG with structure at all scales, as in nature: the finer, the fainter."""
    numbers = np.random.default_rng(seed)
    pixels = np.zeros((height, width, 3), dtype=np.float32)
    for cells in (3, 12, 48):
        coarse = (numbers.random((cells, cells, 3)) * 255).astype(np.uint8)
        fine = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
        pixels += np.asarray(fine, dtype=np.float32) / cells**0.5
    pixels = (pixels - pixels.min()) / (pixels.max() - pixels.min()) * 255
    pixels += numbers.normal(0, 4, pixels.shape)
    buffer = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def folder_of_photos(root: Path, count: int, *, classes: int = 10, side: int = 32) -> Path:
    """root/class/number.jpg; a few different photos, many times."""
    some = [photo(side, side, seed) for seed in range(16)]
    for label in range(classes):
        (root / f"class{label}").mkdir(parents=True)
    for number in range(count):
        (root / f"class{number % classes}" / f"{number:06d}.jpg").write_bytes(some[number % len(some)])
    return root
