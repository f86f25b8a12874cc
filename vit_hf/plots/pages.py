"""Pages of small pictures that need nothing but a browser: one file, in which the pictures lie themselves."""

import base64
import html
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

BUDGET = 300_000  # bytes of all the pictures of a page
# Pixels of the longer side, and JPEG's quality: the first that the budget allows, else the last.
FORMS = ((144, 80), (112, 70), (80, 60), (48, 50))
TINY = 48  # pixels, below which an image is shown as its squares, several times as large

STYLE = """
body { font: 15px/1.4 system-ui, sans-serif; color: #1f2933; max-width: 1200px; margin: 2em auto; padding: 0 1em; }
h1 { font-size: 1.4em; } h2 { font-size: 1.1em; margin: 1.6em 0 .4em; } p { margin: .3em 0; }
.row { display: flex; flex-wrap: wrap; gap: 12px; }
figure { margin: 0; width: 144px; } figure img { width: 100%; display: block; border: 1px solid #d5dae1; }
figure.wide { width: 456px; } figure.tiny img { image-rendering: pixelated; }
figcaption { font-size: 12px; overflow-wrap: anywhere; } .quiet { color: #66727f; }
"""


@dataclass(frozen=True)
class Thumbnail:
    """draw: the image, made when it is needed. caption, name: lines below it, the second of them quieter."""

    draw: Callable[[], Image.Image]
    caption: str
    name: str


@dataclass(frozen=True)
class PictureRow:
    """heading: none where it is empty."""

    heading: str
    thumbnails: Sequence[Thumbnail]


def write_page(path: Path, title: str, introduction: str, sections: Sequence[PictureRow]) -> None:
    """One HTML file with all that it shows; texts are shown as they are, whatever is in them."""
    drawn = [[small(thumbnail.draw()) for thumbnail in section.thumbnails] for section in sections]
    pictures = within_budget([image for some in drawn for image in some])
    body, place = [], 0
    for section in sections:
        figures = []
        for thumbnail in section.thumbnails:
            figures.append(figure(thumbnail, *pictures[place]))
            place += 1
        heading = f"<h2>{html.escape(section.heading)}</h2>\n" if section.heading else ""
        body.append(f'{heading}<div class="row">\n{"".join(figures)}</div>\n')
    path.write_text(
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{html.escape(title)}</title>\n'
        f"<style>{STYLE}</style>\n</head>\n<body>\n<h1>{html.escape(title)}</h1>\n<p>{html.escape(introduction)}</p>\n"
        f"{''.join(body)}</body>\n</html>\n",
        encoding="utf-8",
    )


def small(image: Image.Image) -> Image.Image:
    """No larger than the first form, so that few pixels are held."""
    shown = image.convert("RGB")
    side = FORMS[0][0] * (3 if is_wide(shown) else 1)
    shown.thumbnail((side, side))
    return shown


def is_wide(image: Image.Image) -> bool:
    """A film strip."""
    return image.width > 2.5 * image.height


def within_budget(images: Sequence[Image.Image]) -> list[tuple[Image.Image, str]]:
    """-> each image, and the address that holds its bytes"""
    found: list[bytes] = []
    for side, quality in FORMS:
        found = [encoded(image, side, quality) for image in images]
        if sum(map(len, found)) * 4 / 3 <= BUDGET:
            break
    kinds = ["png" if is_tiny(image) else "jpeg" for image in images]
    addresses = (
        f"data:image/{kind};base64,{base64.b64encode(data).decode()}" for kind, data in zip(kinds, found, strict=True)
    )
    return [*zip(images, addresses, strict=True)]


def is_tiny(image: Image.Image) -> bool:
    return max(image.size) < TINY


def encoded(image: Image.Image, side: int, quality: int) -> bytes:
    buffer = io.BytesIO()
    if is_tiny(image):
        image.save(buffer, "PNG")
        return buffer.getvalue()
    shown = image.copy()
    longest = side * (3 if is_wide(image) else 1)
    shown.thumbnail((longest, longest))
    shown.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def figure(thumbnail: Thumbnail, image: Image.Image, address: str) -> str:
    kind = "wide" if is_wide(image) else "tiny" if is_tiny(image) else "plain"
    name = Path(thumbnail.name).name or thumbnail.name
    return (
        f'<figure class="{kind}"><img src="{address}" alt="">'
        f'<figcaption>{html.escape(thumbnail.caption)}<br><span class="quiet" title="{html.escape(thumbnail.name)}">'
        f"{html.escape(name)}</span></figcaption></figure>\n"
    )
