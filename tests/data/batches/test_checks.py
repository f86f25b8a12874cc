"""What is decoded before the first step, and what is not."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_images import class_folders, jpeg, photo

from vit_hf.data.batches.checks import check_split, decoded_before, keys_of, remember_decoded
from vit_hf.data.decode.files import Reading, UnreadableImage
from vit_hf.data.settings import DataSettings
from vit_hf.data.sources.open_data import open_source
from vit_hf.data.sources.tables import ImageTable


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return class_folders(tmp_path / "photos", {"cat": 4, "dog": 4})


def table_of(photos: Path) -> ImageTable:
    return open_source(DataSettings(name=str(photos), test_fraction=0, validation_fraction=0)).splits["train"]


class Decoder:
    """Decodes, and counts."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, picture: Any) -> np.ndarray:
        self.count += 1
        return picture.pixels(3)


def check(photos: Path, *, decode_all: bool = False) -> tuple[Any, int]:
    decoder = Decoder()
    return check_split(table_of(photos), decoder, split="train", decode_all=decode_all), decoder.count


def damaged(content: bytes) -> bytes:
    """Whole at both ends, and of a PNG the pixels are lost."""
    middle = len(content) // 2
    return content[: middle - 8] + bytes(16) + content[middle + 8 :]


def test_of_whole_files_not_one_is_decoded(photos):
    found, decoded = check(photos)
    assert decoded == 0
    assert found.rows.tolist() == list(range(8))
    assert found.undecoded.all()


def test_a_file_that_lost_its_end_is_found_before_training(photos):
    broken = photos / "cat" / "1.png"
    broken.write_bytes(broken.read_bytes()[:100])
    found, decoded = check(photos)
    assert decoded <= 1
    assert 1 not in found.rows
    assert found.unreadable[0].startswith(str(broken))


def test_what_was_decoded_once_is_known_wherever_it_lies(photos, tmp_path):
    assert check(photos, decode_all=True)[1] == 8
    assert check(photos, decode_all=True)[1] == 0
    assert not check(photos)[0].undecoded.any()
    photos = photos.rename(tmp_path / "elsewhere")
    assert check(photos, decode_all=True)[1] == 0
    (photos / "dog" / "9.jpg").write_bytes(jpeg(photo()))
    found, decoded = check(photos, decode_all=True)
    assert (len(found.rows), decoded) == (9, 1)


def test_damage_between_the_ends_is_found_where_images_are_to_be_left_out(photos):
    broken = photos / "cat" / "1.png"
    broken.write_bytes(damaged(broken.read_bytes()))
    assert len(check(photos)[0].rows) == 8
    for _ in range(2):  # a broken image is never remembered as a good one
        found, _ = check(photos, decode_all=True)
        assert found.rows.tolist() == [0, 2, 3, 4, 5, 6, 7]
        assert "1.png" in found.unreadable[0]


def test_other_limits_ask_anew(photos):
    remember_decoded(keys_of(table_of(photos)))
    table = table_of(photos)
    smaller = ImageTable(**{**vars(table), "reading": Reading(max_pixels=10)})
    ranged = ImageTable(**{**vars(table), "reading": Reading(pixel_range=(0, 1))})
    assert not decoded_before(keys_of(smaller))
    assert len(decoded_before(keys_of(ranged))) == 8
    found = check_split(smaller, Decoder(), split="train", decode_all=False)
    assert len(found.unreadable) == 8
    assert "no more than 10 are read" in found.unreadable[0]


def test_more_contents_than_sqlite_takes_at_once():
    keys = [f"{number:x}" for number in range(1201)]
    remember_decoded(keys[1:])
    assert decoded_before(keys) == {*keys[1:]}


def test_a_disk_that_remembers_nothing_costs_time_alone(photos, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    for _ in range(2):
        assert check(photos, decode_all=True)[1] == 8


def test_an_item_that_fails_to_be_prepared_is_no_broken_image(photos):
    def read(picture: Any):
        raise UnreadableImage("x: refused")

    found = check_split(table_of(photos), read, split="train", decode_all=True)
    assert not len(found.rows)
    assert not decoded_before(keys_of(table_of(photos)))
