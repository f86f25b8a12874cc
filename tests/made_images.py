"""Small images, made on the spot, and the folders and tables that hold them."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image


def noise(seed: int, size: int = 8) -> Image.Image:
    """An RGB image of random pixels."""
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8))


def shade(image: Image.Image, *, dark: bool) -> Image.Image:
    """The darker half of the grays, or the brighter one."""
    return Image.fromarray(np.asarray(image) // 2 + (0 if dark else 127))


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def class_folders(root: Path, classes: dict[str, int]) -> Path:
    """root/class/number.png, as many as said for each class."""
    seed = 0
    for name, count in classes.items():
        (root / name).mkdir(parents=True)
        for number in range(count):
            noise(seed).save(root / name / f"{number}.png")
            seed += 1
    return root


def save_frames(folder: Path, frames: Sequence[Image.Image]) -> Path:
    """folder/frame_number.png"""
    folder.mkdir(parents=True)
    for number, frame in enumerate(frames):
        frame.save(folder / f"frame_{number}.png")
    return folder


def video_folders(root: Path, classes: dict[str, int], *, frames: int = 5, size: int = 8) -> Path:
    """root/class/number/frame_number.png, as many videos as said for each class."""
    for place, (name, count) in enumerate(classes.items()):
        for number in range(count):
            seed = 1000 * place + 10 * number
            save_frames(root / name / str(number), [noise(seed + frame, size) for frame in range(frames)])
    return root


def photo(height: int = 37, width: int = 53, mode: str = "RGB") -> Image.Image:
    """Smooth waves of color, in which a decoder or a resizing that is a little different is seen."""
    y, x = np.mgrid[:height, :width]
    waves = np.stack([127 + 90 * np.sin(x / 7 + channel) * np.cos(y / 5) for channel in range(3)], axis=-1)
    return Image.fromarray(waves.astype(np.uint8)).convert(mode)


def jpeg(image: Image.Image, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", **options)
    return buffer.getvalue()
