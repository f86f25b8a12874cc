from pathlib import Path

import numpy as np
import pytest
from made_images import class_folders, noise

from vit_hf.data.settings import DataSettings
from vit_hf.data.sources.image_folders import scan_folder
from vit_hf.data.sources.open_data import open_data


def test_labels_are_the_sorted_names_of_the_class_folders(tmp_path: Path):
    data = scan_folder(class_folders(tmp_path, {"zebra": 1, "ant": 2}))
    assert data.label_names == ["ant", "zebra"]
    assert data.splits["train"].labels.tolist() == [0, 0, 1]
    np.testing.assert_array_equal(data.splits["train"].open(2).pixels(3), np.asarray(noise(0)))


def test_folders_of_splits_are_understood_under_their_common_names(tmp_path: Path):
    for split in ("train", "val", "test"):
        class_folders(tmp_path / split, {"a": 2, "b": 1})
    data = open_data(DataSettings(name=str(tmp_path)))
    assert {name: len(table) for name, table in data.splits.items()} == {"train": 3, "validation": 3, "test": 3}
    assert data.split_origin is None


def test_a_class_may_be_called_test(tmp_path: Path):
    assert scan_folder(class_folders(tmp_path, {"test": 1, "dummy": 1})).label_names == ["dummy", "test"]


def test_one_class_is_nothing_to_tell_apart(tmp_path: Path):
    with pytest.raises(ValueError, match="has one class, 'cat'"):
        open_data(DataSettings(name=str(class_folders(tmp_path, {"cat": 4}))))


def test_settings_that_only_tables_hear_are_refused(tmp_path: Path):
    class_folders(tmp_path, {"a": 2, "b": 2})
    for name, kind in ((str(tmp_path), "folder of class folders"), ("digits", "scikit-learn")):
        with pytest.raises(ValueError, match=rf"--data.label_column kind is for parquet files .* {kind}"):
            open_data(DataSettings(name=name, label_column="kind"))


def test_an_empty_class_folder_is_named(tmp_path: Path):
    class_folders(tmp_path, {"a": 2})
    (tmp_path / "b").mkdir()
    with pytest.raises(ValueError, match="class folder .*b is empty"):
        scan_folder(tmp_path)


def test_images_without_class_folders_are_told_where_they_belong(tmp_path: Path):
    noise(0).save(tmp_path / "0.png")
    with pytest.raises(ValueError, match="no class folders"):
        scan_folder(tmp_path)


def test_a_class_that_was_never_trained_on_is_met_with_the_nearest_name(tmp_path: Path):
    class_folders(tmp_path / "train", {"zebra": 2, "ant": 2})
    class_folders(tmp_path / "test", {"zebras": 1})
    with pytest.raises(ValueError, match="did you mean 'zebra'"):
        scan_folder(tmp_path)
