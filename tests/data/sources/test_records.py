from pathlib import Path

import datasets
import numpy as np
import pytest
from made_images import noise, png

from vit_hf.data.settings import DataSettings
from vit_hf.data.sources.open_data import open_data


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Nothing of these tables stays in the user's cache."""
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    datasets.disable_progress_bars()


def records(count: int) -> list[dict]:
    return [{"bytes": png(noise(number)), "path": f"{number}.png"} for number in range(count)]


def write(path: Path, columns: dict, features: datasets.Features | None = None) -> Path:
    datasets.Dataset.from_dict(columns, features=features).to_parquet(path)
    return path


def named(names: list[str]) -> datasets.Features:
    return datasets.Features({"img": datasets.Image(), "kind": datasets.ClassLabel(names=names)})


def test_labels_keep_their_names_in_the_order_of_the_data_set(tmp_path: Path):
    write(tmp_path / "train.parquet", {"img": records(4), "kind": [1, 0, 1, 0]}, named(["zebra", "ant"]))
    data = open_data(DataSettings(name=str(tmp_path / "train.parquet"), test_fraction=0.5))
    assert data.label_names == ["zebra", "ant"]
    train = data.splits["train"]
    row = int(train.order[0])
    assert train.labels[0] == [1, 0, 1, 0][row]
    np.testing.assert_array_equal(train.open(0).pixels(3), np.asarray(noise(row)))
    assert train.name_of(0) == f"train[{row}] ({row}.png)"


def test_files_of_a_folder_are_the_splits_they_are_called_after(tmp_path: Path):
    write(tmp_path / "train-00000-of-00002.parquet", {"img": records(2), "kind": [0, 1]}, named(["a", "b"]))
    write(tmp_path / "train-00001-of-00002.parquet", {"img": records(2), "kind": [0, 1]}, named(["a", "b"]))
    write(tmp_path / "test-00000-of-00001.parquet", {"img": records(1), "kind": [1]}, named(["a", "b"]))
    data = open_data(DataSettings(name=str(tmp_path)))
    assert {name: len(table) for name, table in data.splits.items()} == {"train": 4, "test": 1}


def test_raw_bytes_and_texts_will_do_where_the_types_got_lost(tmp_path: Path):
    write(tmp_path / "t.parquet", {"photo": [png(noise(n)) for n in range(4)], "label": ["b", "a", "b", "a"]})
    data = open_data(DataSettings(name=str(tmp_path / "t.parquet"), test_fraction=0.5))
    assert data.label_names == ["a", "b"]
    assert data.splits["test"].open(0).size == (8, 8)


def test_a_hidden_label_is_counted_and_placed(tmp_path: Path):
    write(tmp_path / "train.parquet", {"img": records(2), "kind": [0, 1]}, named(["a", "b"]))
    write(tmp_path / "test.parquet", {"img": records(3), "kind": [0, -1, -1]}, named(["a", "b"]))
    with pytest.raises(ValueError, match=r"2 of 3 labels of the split 'test' are outside 0 to 1.*test\[1\]"):
        open_data(DataSettings(name=str(tmp_path)))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"label_column": "knd"}, "did you mean 'kind'"),
        ({"image_column": "image"}, "no column 'image'"),
        ({"test_split": "tset"}, "--data.test_split"),
    ],
)
def test_a_misspelt_column_or_split_is_answered_with_those_there_are(tmp_path: Path, settings: dict, message: str):
    write(tmp_path / "train.parquet", {"img": records(2), "kind": [0, 1]}, named(["a", "b"]))
    with pytest.raises(ValueError, match=message):
        open_data(DataSettings(name=str(tmp_path), **settings))


def test_columns_that_could_both_be_the_label_are_left_to_the_user(tmp_path: Path):
    write(tmp_path / "t.parquet", {"image": records(2), "fine_label": [0, 1], "coarse_label": [0, 0]})
    with pytest.raises(ValueError, match=r"fine_label, coarse_label\. Name it with --data.label_column"):
        open_data(DataSettings(name=str(tmp_path / "t.parquet"), image_column="image"))


def test_a_damaged_parquet_file_is_named(tmp_path: Path):
    (tmp_path / "t.parquet").write_bytes(b"PAR1 and nothing else")
    with pytest.raises(ValueError, match=r"t\.parquet cannot be read: Parquet magic bytes"):
        open_data(DataSettings(name=str(tmp_path / "t.parquet")))


def test_a_folder_that_does_not_exist_is_not_looked_for_on_the_hub():
    with pytest.raises(ValueError, match="no file or folder './nowhere/photos'"):
        open_data(DataSettings(name="./nowhere/photos"))
