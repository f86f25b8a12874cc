"""Heat over the images that a model saw, of one method or of several side by side, and of clips as animations."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from einops import rearrange
from PIL import Image
from torch import Tensor

from .curves import INK, QUIET, new_figure, plain_text, save, shorten
from .galleries import PIXELS_AN_INCH, film_strips, in_color

ANIMATED_PIXELS = 224  # pixels of the shorter side of an animation
FRAME_MS = 250


def overlay(image: Tensor, heat: Tensor) -> np.ndarray:
    """c h w and h w, from 0 to 1 -> h w 3, from 0 to 1: what is cold in gray, what is hot in color."""
    pixels = rearrange(in_color(image), "c h w -> h w c").numpy()
    gray = pixels.mean(-1, keepdims=True)
    share = heat.numpy()[..., None]
    color = matplotlib.colormaps["inferno"](share[..., 0])[..., :3]
    return np.clip((1 - 0.65 * share) * (0.35 * pixels + 0.65 * gray) + 0.65 * share * color, 0, 1)


def draw_heat(image: Tensor, heats: Mapping[str, Tensor], path: Path, *, title: str) -> None:
    """An image c h w, from 0 to 1, and beside it under its name each heat h w; of a clip t c h w and t h w, film
    strips, below each other."""
    strips = image.ndim == 4
    if strips:
        image = film_strips(image[None])[0]
    panels = {"what the model sees": rearrange(in_color(image), "c h w -> h w c").numpy()}
    for name, heat in heats.items():
        if strips:
            heat = film_strips(heat[None, :, None])[0, 0]
        panels[name] = overlay(image, heat)
    height, width = image.shape[-2:]
    across = 2.4 * min(width / height, 4)
    rows, columns = (len(panels), 1) if strips else (1, len(panels))
    figure = new_figure(across * columns + 0.2, 2.75 * rows / (max(width / height / 4, 1) if strips else 1) + 0.4)
    for axes, (name, pixels) in zip(
        figure.subplots(rows, columns, squeeze=False).flatten(), panels.items(), strict=True
    ):
        axes.set(xticks=[], yticks=[])
        axes.imshow(pixels, interpolation="bicubic" if height < ANIMATED_PIXELS else "antialiased")
        axes.set_title(name, fontsize=9, color=INK, pad=4)
        for spine in axes.spines.values():
            spine.set_color(QUIET)
    figure.suptitle(plain_text(shorten(title, 90)), x=0.01, ha="left", fontsize=10, color=INK)
    save(figure, path, dpi=PIXELS_AN_INCH)


def animate_heat(clip: Tensor, heat: Tensor, path: Path) -> None:
    """t c h w and t h w, from 0 to 1: each frame beside its heat, as an animated GIF"""
    frames = [beside(image, warm) for image, warm in zip(clip, heat, strict=True)]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=FRAME_MS, loop=0)


def beside(image: Tensor, heat: Tensor) -> Image.Image:
    """c h w, h w -> an image of both"""
    plain = rearrange(in_color(image), "c h w -> h w c").numpy()
    both = np.concatenate([plain, overlay(image, heat)], axis=1)
    drawn = Image.fromarray((255 * both).round().astype(np.uint8))
    grown = max(1, -(-ANIMATED_PIXELS // min(image.shape[-2:])))
    return drawn.resize((drawn.width * grown, drawn.height * grown), Image.Resampling.BICUBIC)


def draw_time(curve: Sequence[float], path: Path) -> None:
    """How much of the heat lies in each frame of a clip, in shares of 1."""
    figure = new_figure(0.35 * len(curve) + 2.2, 2.4)
    axes = figure.subplots()
    axes.bar(range(1, len(curve) + 1), curve, color="#d9722e")
    axes.set_xlabel("frame", color=INK)
    axes.set_title("Share of the heat", loc="left", color=INK, fontweight="bold")
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.3g}%")
    axes.spines[["top", "right"]].set_visible(False)
    save(figure, path)
