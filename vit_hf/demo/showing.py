"""What an app does with images, and what with videos: a field for each, looked up by the modality."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ..data.decode.files import UnreadableImage
from ..data.decode.images import Picture
from ..data.decode.videos import Footage, write_film
from ..modality import IMAGE, VIDEO, Modality

LARGEST_SHOWN = 1024  # pixels of a side of an example


class Showing(NamedTuple):
    """How items of a modality are shown and taken.

    component, options: of Gradio, which takes an item as it was uploaded. extra: of this package, which brings what
    reads its files. check: an opened item and its name; raises UnreadableImage for one that is none. save: the
    preparation of the model, an opened item and a path without its ending -> the path of a file that browsers show,
    with none of what the item's own says of places and people; None where what is installed cannot write it.
    on_pages: whether a page that runs in the browser alone takes them.
    """

    component: str
    options: Mapping[str, Any]
    extra: str | None
    check: Callable[[Any, str], None]
    save: Callable[[Any, Any, Path], Path | None]
    on_pages: bool


def take_any(picture: Picture, name: str) -> None:
    """Whatever opens as an image is one."""


def refuse_still(footage: Footage, name: str) -> None:
    if len(footage) == 1:
        raise UnreadableImage(f"{name}: it is a single frame, and the model takes videos")


def save_picture(preparation: Any, picture: Picture, stem: Path) -> Path:
    drawn, path = IMAGE.draw(picture), stem.with_name(f"{stem.name}.png")
    drawn.thumbnail((LARGEST_SHOWN, LARGEST_SHOWN))
    drawn.save(path)
    return path


def save_clip(preparation: Any, footage: Footage, stem: Path) -> Path | None:
    """The frames that the model sees, slowly one after another."""
    return write_film(preparation.frames_at(footage), stem.with_name(f"{stem.name}.mp4"))


IMAGE_OPTIONS = {"sources": ["upload", "webcam", "clipboard"], "type": "filepath", "image_mode": None}
VIDEO_OPTIONS = {"sources": ["upload", "webcam"]}
SHOWING: Mapping[Modality, Showing] = {
    IMAGE: Showing("Image", IMAGE_OPTIONS, None, take_any, save_picture, on_pages=True),
    VIDEO: Showing("Video", VIDEO_OPTIONS, "video", refuse_still, save_clip, on_pages=False),
}
