import os
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_images import class_folders, noise, png, save_frames

from vit_hf.data.settings import DataSettings
from vit_hf.data.sources.contents import WHOLE, hash_of_bytes, hash_of_file, hash_of_source, with_hashes
from vit_hf.data.sources.open_data import open_source
from vit_hf.data.sources.tables import ImageTable


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def hashes(folder: Path) -> list[str]:
    found = with_hashes(open_source(DataSettings(name=str(folder))).splits["train"]).hashes
    assert found is not None
    return found.tolist()


@given(st.binary(max_size=200))
def test_a_file_has_the_hash_of_its_bytes(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("files") / "file"
    path.write_bytes(content)
    assert hash_of_file(path) == hash_of_bytes(content) == hash_of_source(path)


@pytest.mark.parametrize("change", [0, 70_000, 10**6 - 1])
def test_of_a_large_file_beginning_end_and_size_count(tmp_path, change):
    content = bytearray(np.random.default_rng(0).bytes(10**6))
    (tmp_path / "one").write_bytes(content)
    assert hash_of_file(tmp_path / "one") == hash_of_bytes(bytes(content))
    assert hash_of_bytes(bytes(content)) != hash_of_bytes(bytes(content) + b"\0")
    content[change] ^= 255
    same = hash_of_bytes(bytes(content)) == hash_of_file(tmp_path / "one")
    assert same == (WHOLE // 4 <= change < 10**6 - WHOLE // 4)  # between the pieces nothing is read


def test_frames_are_the_video_whatever_their_folder_is_called(tmp_path):
    one = save_frames(tmp_path / "one", [noise(0), noise(1)])
    two = save_frames(tmp_path / "two", [noise(0), noise(1)])
    other = save_frames(tmp_path / "other", [noise(1), noise(0)])
    assert hash_of_source(one) == hash_of_source(two) != hash_of_source(other)


def test_a_file_that_is_gone_gets_a_hash_and_no_error(tmp_path):
    assert hash_of_source(tmp_path / "gone.png") != hash_of_source(tmp_path / "other.png")


def test_a_file_is_hashed_once_and_again_when_it_changes(tmp_path, monkeypatch):
    photos = class_folders(tmp_path / "photos", {"a": 3, "b": 3})
    before = hashes(photos)
    read: list[Path] = []
    monkeypatch.setattr("vit_hf.data.sources.contents.hash_of_file", lambda path: read.append(path) or "new")
    assert hashes(photos) == before
    assert read == []
    noise(99).save(photos / "a" / "1.png")
    os.utime(photos / "a" / "1.png", ns=(1, 1))
    assert hashes(photos) == [before[0], "new", *before[2:]]
    assert read == [photos / "a" / "1.png"]


def test_a_damaged_memory_costs_time_and_nothing_else(tmp_path):
    photos = class_folders(tmp_path / "photos", {"a": 3, "b": 3})
    before = hashes(photos)
    (memory,) = (tmp_path / "cache").rglob("*.sqlite")
    memory.write_bytes(b"no database" * 1000)
    assert hashes(photos) == before
    with pytest.raises(sqlite3.DatabaseError):
        sqlite3.connect(memory).execute("SELECT * FROM hashes")


def test_no_place_to_remember_costs_nothing_else(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert len(set(hashes(class_folders(tmp_path / "photos", {"a": 3, "b": 3})))) == 6


def test_an_image_in_a_table_is_known_as_the_file_that_it_was(tmp_path):
    import datasets

    photos = class_folders(tmp_path / "photos", {"a": 3, "b": 3})
    rows = [{"image": {"bytes": png(noise(seed)), "path": None}, "label": seed // 3} for seed in range(6)]
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b"])})
    datasets.Dataset.from_list(rows, features=features).to_parquet(str(tmp_path / "train.parquet"))
    table = with_hashes(open_source(DataSettings(name=str(tmp_path / "train.parquet"))).splits["train"])
    assert table.hashes is not None
    assert table.hashes.tolist() == hashes(photos)


def test_decoded_pixels_are_told_apart_by_shape_too():
    flat, square = np.zeros((1, 4), dtype=np.uint8), np.zeros((2, 2), dtype=np.uint8)
    table = ImageTable.of([flat, square], [0, 0], source=lambda item, name: item, name=lambda item, row: str(row))
    assert len(set(with_hashes(table).hashes.tolist())) == 2  # pyright: ignore[reportOptionalMemberAccess]
