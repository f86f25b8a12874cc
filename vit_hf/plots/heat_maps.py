"""Heat over the images that a model saw, of one method or of several side by side, and of clips as animations."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from einops import rearrange
from PIL import Image
from torch import Tensor

from .curves import BLUE, INK, ORANGE, QUIET, new_figure, plain, plain_text, save, shorten
from .galleries import PIXELS_AN_INCH, film_strips, in_color

ANIMATED_PIXELS = 224  # pixels of the shorter side of an animation
FRAME_MS = 250
WIDE = 2.5  # a picture, in its heights


def overlay(image: Tensor, heat: Tensor) -> np.ndarray:
    """c h w and h w, from 0 to 1 -> h w 3, from 0 to 1: what is cold in gray, what is hot in color."""
    pixels = rearrange(in_color(image), "c h w -> h w c").numpy()
    gray = pixels.mean(-1, keepdims=True)
    share = heat.numpy()[..., None]
    color = matplotlib.colormaps["inferno"](share[..., 0])[..., :3]
    return np.clip((1 - 0.65 * share) * (0.35 * pixels + 0.65 * gray) + 0.65 * share * color, 0, 1)


def side_by_side(clips: Tensor) -> Tensor:
    """b (t) c h w -> b c h (t w): frames with a white line between them"""
    return film_strips(clips.reshape(len(clips), -1, *clips.shape[-3:]))[..., :-1]


def draw_heat(image: Tensor, heats: Mapping[str, Tensor], path: Path, *, title: str) -> None:
    """(t) c h w, from 0 to 1, in one picture, and each heat (t) h w under its name beside it, or below if wide."""
    strip = side_by_side(image[None])[0]
    panels = {"what the model sees": rearrange(in_color(strip), "c h w -> h w c").numpy()}
    panels |= {name: overlay(strip, side_by_side(heat[None].unsqueeze(-3))[0, 0]) for name, heat in heats.items()}
    height, width = strip.shape[-2:]
    rows, columns = (len(panels), 1) if width > WIDE * height else (1, len(panels))
    across = 2.4 * min(width / height, 4)
    figure = new_figure(across * columns + 0.2, (across * height / width + 0.35) * rows + 0.4)
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
    return enlarged(both)


def drawn_over(shown: Tensor, heat: Tensor) -> list[Image.Image]:
    """(t) c h w and (t) h w, from 0 to 1 -> each frame under its heat"""
    frames, heats = shown.reshape(-1, *shown.shape[-3:]), heat.reshape(-1, *heat.shape[-2:])
    return [enlarged(overlay(image, warm)) for image, warm in zip(frames, heats, strict=True)]


def enlarged(pixels: np.ndarray) -> Image.Image:
    """h w 3, from 0 to 1 -> an image large enough to be looked at"""
    drawn = Image.fromarray((255 * pixels).round().astype(np.uint8))
    grown = max(1, -(-ANIMATED_PIXELS // min(pixels.shape[:2])))
    return drawn.resize((drawn.width * grown, drawn.height * grown), Image.Resampling.BICUBIC)


def draw_features(images: Tensor, layers: Mapping[str, Tensor], path: Path, *, inches: float = 1.5) -> None:
    """b (t) c h w, and of each layer b (t) h w 3, from 0 to 1: a row for each image or clip. inches: the height
    of each, of long strips a quarter of the width."""
    images = side_by_side(images)
    strips = {name: side_by_side(layer.movedim(-1, -3)).movedim(1, -1) for name, layer in layers.items()}
    height, width = images.shape[-2:]
    columns = 1 + len(layers)
    across = inches * min(width / height, 4)
    figure = new_figure(across * columns + 0.2, (across * height / width + 0.1) * len(images) + 0.2)
    grid = figure.subplots(len(images), columns, squeeze=False)
    for row, image in enumerate(images):
        panels = {
            "image": rearrange(in_color(image), "c h w -> h w c"),
            **{name: strip[row] for name, strip in strips.items()},
        }
        for axes, (name, pixels) in zip(grid[row], panels.items(), strict=True):
            axes.set(xticks=[], yticks=[])
            axes.imshow(pixels.numpy(), interpolation="nearest" if name != "image" else "bicubic", aspect="auto")
            if not row:
                axes.set_title(name, fontsize=9, color=INK, pad=4)
    save(figure, path, dpi=PIXELS_AN_INCH)


def draw_filters(filters: Tensor, path: Path) -> None:
    """k c p p, from 0 to 1"""
    columns = 7
    figure = new_figure(0.7 * columns, 0.72 * -(-len(filters) // columns) + 0.3)
    grid = figure.subplots(-(-len(filters) // columns), columns, squeeze=False).flatten()
    for axes in grid:
        axes.set_axis_off()
    for axes, one in zip(grid, filters, strict=False):
        axes.imshow(rearrange(in_color(one), "c h w -> h w c").numpy(), interpolation="nearest")
    figure.suptitle("Main directions of the patches' filters", x=0.01, ha="left", fontsize=10, color=INK)
    save(figure, path, dpi=PIXELS_AN_INCH)


def draw_positions(similarity: Tensor, path: Path) -> None:
    """h w h w, from -1 to 1: of every patch, or every second, third, ... one, how alike it is to all."""
    step = max(1, -(-max(similarity.shape[:2]) // 8))
    chosen = similarity[::step, ::step]
    rows, columns = chosen.shape[:2]
    figure = new_figure(0.7 * columns + 0.3, 0.7 * rows + 0.4)
    grid = figure.subplots(rows, columns, squeeze=False)
    for row in range(rows):
        for column in range(columns):
            grid[row][column].set(xticks=[], yticks=[])
            grid[row][column].imshow(chosen[row, column].numpy(), vmin=-1, vmax=1, cmap="viridis")
    figure.suptitle("How alike positions are", x=0.01, ha="left", fontsize=10, color=INK)
    save(figure, path, dpi=PIXELS_AN_INCH)


def draw_distances(distances: Sequence[Tensor], path: Path) -> None:
    """Of each block heads, in pixels: a dot for each."""
    figure = new_figure(max(4.0, 0.32 * len(distances) + 2), 2.8)
    axes = figure.subplots()
    for block, heads in enumerate(distances, start=1):
        axes.scatter([block] * len(heads), heads.numpy(), s=14, color=BLUE, alpha=0.8, linewidths=0)
    plain(axes)
    axes.set_xlabel("block", color=INK)
    axes.set_ylabel("pixels", color=INK)
    axes.set_ylim(bottom=0)
    axes.set_title("How far each head looks", loc="left", color=INK, fontweight="bold")
    save(figure, path)


def draw_time_attention(curves: Tensor, path: Path) -> None:
    """layers t: a curve over the frames for each layer, the later the darker."""
    figure = new_figure(0.35 * curves.shape[1] + 3.0, 2.8)
    axes = figure.subplots()
    frames = range(1, curves.shape[1] + 1)
    for layer, curve in enumerate(curves.tolist(), start=1):
        label = f"layer {layer}" if layer in (1, len(curves)) else None
        axes.plot(frames, curve, color=BLUE, alpha=0.2 + 0.8 * layer / len(curves), label=label)
    axes.set_xticks(frames)
    axes.set_xlabel("frame", color=INK)
    axes.set_title("How much each frame is looked at", loc="left", color=INK, fontweight="bold")
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.3g}%")
    axes.legend(frameon=False, labelcolor=INK)
    plain(axes)
    save(figure, path)


def draw_time(curve: Sequence[float], path: Path) -> None:
    """How much of the heat lies in each frame of a clip, in shares of 1."""
    figure = new_figure(0.35 * len(curve) + 2.2, 2.4)
    axes = figure.subplots()
    axes.bar(range(1, len(curve) + 1), curve, color=ORANGE)
    axes.set_xlabel("frame", color=INK)
    axes.set_title("Share of the heat", loc="left", color=INK, fontweight="bold")
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.3g}%")
    plain(axes)
    save(figure, path)
