import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from made_images import noise, photo
from PIL import Image

from vit_hf.plots.pages import BUDGET, PictureRow, Thumbnail, write_page

ATTACK = '<script>alert("x")</script> & \'"><img src=x onerror=alert(1)>'


class Reader(HTMLParser):
    """What a browser would make of a page: its elements, its texts, its pictures."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[str] = []
        self.sources: list[str] = []
        self.texts: list[str] = []
        self.titles: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        found = dict(attrs)
        self.sources += [found["src"] or ""] if tag == "img" else []
        self.titles += [found["title"] or ""] if "title" in found else []
        assert not [name for name in found if name.startswith("on")]

    def handle_data(self, data):
        self.texts.append(data)

    def pictures(self) -> list[Image.Image]:
        found = []
        for source in self.sources:
            match = re.fullmatch(r"data:image/(jpeg|png);base64,(.+)", source)
            assert match is not None
            found.append(Image.open(io.BytesIO(base64.b64decode(match[2]))))
        return found


def thumbnail(image: Image.Image, caption: str = "cat", name: str = "photos/cat/1.png") -> Thumbnail:
    return Thumbnail(lambda: image, caption, name)


def test_a_page_holds_its_pictures_and_asks_for_nothing_else(tmp_path: Path):
    path = tmp_path / "page.html"
    write_page(path, "A title", "Some words.", [PictureRow("one", [thumbnail(photo(90, 120))]), PictureRow("", [])])
    page = Reader(path.read_text())
    (picture,) = page.pictures()
    assert picture.size == (120, 90)
    expected = np.asarray(photo(90, 120)).astype(float)
    assert np.abs(np.asarray(picture).astype(float) - expected).mean() < 8
    assert {"A title", "Some words.", "one", "cat", "1.png"} <= {*page.texts}
    assert page.tags.count("h2") == 1
    assert not re.search(r"https?:|<link|<script", path.read_text())


def test_texts_are_shown_as_they_are(tmp_path: Path):
    path = tmp_path / "page.html"
    write_page(path, ATTACK, ATTACK, [PictureRow(ATTACK, [thumbnail(noise(0), ATTACK, f"photos/{ATTACK}")])])
    page = Reader(path.read_text())
    assert not {"script"} & {*page.tags}
    assert page.tags.count("img") == 1
    assert page.texts.count(ATTACK) == 5  # the title twice, the introduction, the heading, the caption
    assert page.titles == [f"photos/{ATTACK}"]


@pytest.mark.parametrize("count", [1, 60])
def test_pictures_that_do_not_compress_are_made_smaller_until_the_page_is_small(tmp_path: Path, count: int):
    path = tmp_path / "page.html"
    write_page(path, "Noise", "", [PictureRow("", [thumbnail(noise(seed, 400)) for seed in range(count)])])
    assert path.stat().st_size < BUDGET + 500 * count + 2000
    sides = {picture.size for picture in Reader(path.read_text()).pictures()}
    assert sides == {(144, 144)} if count == 1 else sides < {(112, 112), (80, 80), (48, 48)}


def test_tiny_images_keep_every_pixel_and_film_strips_their_shape(tmp_path: Path):
    path = tmp_path / "page.html"
    write_page(path, "Both", "", [PictureRow("", [thumbnail(noise(1, 8)), thumbnail(photo(100, 400))])])
    tiny, strip = Reader(path.read_text()).pictures()
    np.testing.assert_array_equal(np.asarray(tiny), np.asarray(noise(1, 8)))
    assert strip.size == (400, 100)
    assert 'class="tiny"' in path.read_text()
    assert 'class="wide"' in path.read_text()
