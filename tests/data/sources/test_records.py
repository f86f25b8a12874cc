from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from made_images import noise, png

from vit_hf.data.settings import DataSettings
from vit_hf.data.sources.open_data import open_data, open_source


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


def test_a_split_whose_labels_are_all_hidden_is_set_aside(tmp_path: Path):
    write(tmp_path / "train.parquet", {"img": records(4), "kind": [0, 1, 0, 1]}, named(["a", "b"]))
    write(tmp_path / "test.parquet", {"img": records(3), "kind": [-1, -1, -1]}, named(["a", "b"]))
    data = open_source(DataSettings(name=str(tmp_path)))
    assert [*data.splits] == ["train"]
    assert data.unlabeled is not None
    assert data.unlabeled.open(2).size == (8, 8)


SEVERAL = {
    "typed": (datasets.Sequence(datasets.ClassLabel(names=["z", "a"])), [[0], [0, 1], [], [1]]),
    "texts": (datasets.Sequence(datasets.Value("string")), [["z"], ["a", "z"], [], ["a"]]),
    "switches": (datasets.Sequence(datasets.Value("int64")), [[1, 0], [1, 1], [0, 0], [0, 1]]),
}


@pytest.mark.parametrize(("feature", "values"), SEVERAL.values(), ids=SEVERAL)
def test_a_column_of_lists_holds_several_labels(tmp_path: Path, feature: object, values: list[list]):
    features = datasets.Features({"img": datasets.Image(), "labels": feature})
    table = write(tmp_path / "t.parquet", {"img": records(4), "labels": values}, features)
    data = open_source(DataSettings(name=str(table)))
    assert data.problem_type == "multi_label_classification"
    first = {"z": 0, "a": 1, "labels_0": 0, "labels_1": 1}
    order = [first[name] for name in data.label_names]
    assert data.splits["train"].labels[:, np.argsort(order)].tolist() == [[1, 0], [1, 1], [0, 0], [0, 1]]


def test_floats_are_numbers_to_predict_and_several_columns_can_be_named(tmp_path: Path):
    columns = {"img": records(2), "age": [0.5, 2.0], "sun": [1, 0], "sea": [1, 1], "who": ["me", "you"]}
    table = write(tmp_path / "t.parquet", columns, None)
    kinds: Any = {"image_column": "img", "name": str(table)}
    ages = open_source(DataSettings(label_column="age", group_column="who", **kinds))
    assert (ages.problem_type, ages.splits["train"].labels.tolist()) == ("regression", [[0.5], [2.0]])
    assert ages.splits["train"].groups is not None
    assert ages.splits["train"].groups.tolist() == ["me", "you"]
    views = open_source(DataSettings(label_columns=["sun", "sea"], **kinds))
    assert views.problem_type == "multi_label_classification"
    assert views.splits["train"].labels.tolist() == [[1, 1], [0, 1]]
