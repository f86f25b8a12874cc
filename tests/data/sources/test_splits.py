import shutil
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_images import class_folders, noise

from vit_hf.data.settings import DataSettings
from vit_hf.data.sources.open_data import open_data
from vit_hf.data.sources.split_record import SPLIT_FILE, SplitRecord
from vit_hf.data.sources.splits import PARTS, Shares, cut, divide_units, folds_of, place_of
from vit_hf.data.sources.tables import ImageData, ImageTable

THIRDS = {"test_fraction": 1 / 3, "validation_fraction": 1 / 2}


def parts_by_name(name, **settings) -> dict[str, str]:
    """The last two parts of each file's path -> its part."""
    data = open_data(DataSettings(name=str(name), **settings))
    return {
        "/".join(table.name_of(index).split("/")[-2:]): part
        for part, table in data.splits.items()
        for index in range(len(table))
    }


def test_the_digits_are_divided_class_by_class_and_always_alike():
    data = open_data(DataSettings(name="digits"))
    assert {part: len(table) for part, table in data.splits.items()} == {"train": 1215, "validation": 230, "test": 352}
    assert data.splits["test"].order[:5].tolist() == [4, 12, 17, 24, 31]
    everywhere = np.concatenate([table.order for table in data.splits.values()])
    assert sorted(everywhere.tolist()) == list(range(1797))


def test_another_seed_divides_otherwise():
    one = open_data(DataSettings(name="digits")).splits["test"]
    two = open_data(DataSettings(name="digits", split_seed=1)).splits["test"]
    assert len(np.intersect1d(one.order, two.order)) < 0.3 * len(one)


def test_photos_that_come_go_or_move_leave_every_other_in_its_part(tmp_path):
    photos = class_folders(tmp_path / "photos", {"cat": 40, "dog": 40})
    before = parts_by_name(photos, **THIRDS)
    for number in range(10):
        noise(1000 + number).save(photos / "cat" / f"a{number}.png")
    (photos / "dog" / "3.png").unlink()
    shutil.move(photos, tmp_path / "elsewhere")
    after = parts_by_name(tmp_path / "elsewhere", **THIRDS)
    assert {name: part for name, part in after.items() if name in before} == {
        name: part for name, part in before.items() if name != "dog/3.png"
    }


def test_a_renamed_photo_stays_in_its_part_and_a_copy_joins_it(tmp_path):
    photos = class_folders(tmp_path, {"cat": 9, "dog": 9})
    before = parts_by_name(photos, **THIRDS)
    (photos / "cat" / "0.png").rename(photos / "cat" / "renamed.png")
    for number in range(1, 9):
        shutil.copy(photos / "cat" / f"{number}.png", photos / "cat" / f"copy{number}.png")
    after = parts_by_name(photos, **THIRDS)
    assert after["cat/renamed.png"] == before["cat/0.png"]
    assert all(after[f"cat/copy{number}.png"] == after[f"cat/{number}.png"] for number in range(1, 9))


def test_every_class_is_tested_even_where_a_fifth_is_less_than_one_image(tmp_path):
    data = open_data(DataSettings(name=str(class_folders(tmp_path, {"a": 2, "b": 2, "c": 2}))))
    assert sorted(data.splits["test"].labels.tolist()) == [0, 1, 2]
    assert sorted(data.splits["train"].labels.tolist()) == [0, 1, 2]
    assert "validation" not in data.splits


@given(st.dictionaries(st.text(), st.floats(0, 0.999), min_size=3), st.floats(0.01, 0.5), st.floats(0.01, 0.4))
def test_no_part_is_empty_and_units_keep_to_the_order_of_their_places(places, test, validation):
    shares = Shares(test, validation)
    parts = divide_units(places, shares)
    assert set(parts.values()) == set(PARTS)
    moved = [unit for unit, place in places.items() if parts[unit] != shares.part_at(place)]
    assert len(moved) <= 2


def test_a_class_of_one_image_cannot_be_trained_on_and_tested(tmp_path):
    with pytest.raises(ValueError, match="class 'b' has 1 image"):
        open_data(DataSettings(name=str(class_folders(tmp_path, {"a": 5, "b": 1}))))


def test_places_are_spread_evenly():
    places = [place_of(str(unit), seed=3) for unit in range(4000)]
    assert np.allclose(np.histogram(places, bins=4, range=(0, 1))[0] / 4000, 0.25, atol=0.03)


def test_validation_is_a_share_of_what_is_left_to_train_on():
    shares = Shares.of(DataSettings(name="x", test_fraction=0.2, validation_fraction=0.25), True, True)
    assert (shares.test, shares.validation) == pytest.approx((0.2, 0.2))


@pytest.mark.parametrize(
    ("own", "then"),
    [
        (["train", "test"], ["train", "validation", "test"]),
        (["train", "val"], ["train", "validation", "test"]),
        (["train", "val", "test"], ["train", "validation", "test"]),
    ],
)
def test_splits_of_the_data_stay_and_the_missing_ones_come_from_training(tmp_path, own, then):
    for place, part in enumerate(own):
        class_folders(tmp_path / part, {f"{name}": 30 for name in "ab"})
        for file in (tmp_path / part).rglob("*.png"):
            noise(10_000 * place + int(file.stem) + 100 * (file.parent.name == "b")).save(file)
    data = open_data(DataSettings(name=str(tmp_path)))
    assert list(data.splits) == then
    assert sum(map(len, data.splits.values())) == 60 * len(own)
    for part, folder in (("validation", "val"), ("test", "test")):
        if folder in own:
            assert len(data.splits[part]) == 60


def test_shares_of_nothing_leave_training_whole(tmp_path):
    photos = class_folders(tmp_path, {"a": 6, "b": 6})
    assert list(open_data(DataSettings(name=str(photos), test_fraction=0, validation_fraction=0)).splits) == ["train"]


def grouped(groups: list[str], labels: list[int]) -> ImageData:
    """An image of its own in each place, and the group that it belongs to."""
    pixels: Any = np.random.default_rng(0).integers(0, 256, (len(groups), 4, 4), dtype=np.uint8)
    table = ImageTable.of(pixels, labels, source=lambda item, name: item, name=lambda item, row: str(row))
    return ImageData({"train": table.with_groups(np.array(groups))}, ["a", "b"])


def test_no_patient_is_in_two_parts():
    data = cut(
        grouped([f"patient {i // 10}" for i in range(240)], [i // 10 % 2 for i in range(240)]), DataSettings(name="x")
    )
    found = [set(table.groups.tolist()) for table in data.splits.values()]  # pyright: ignore[reportOptionalMemberAccess]
    assert sum(map(len, found)) == len(set.union(*found)) == 24
    assert all(set(table.labels.tolist()) == {0, 1} for table in data.splits.values())


def test_a_new_photo_of_a_patient_goes_where_the_others_are():
    before = cut(grouped([str(i // 10) for i in range(100)], [0, 1] * 50), DataSettings(name="x"))
    after = cut(grouped([str(i // 10) for i in range(100)] + ["3"] * 5, [0, 1] * 50 + [0] * 5), DataSettings(name="x"))
    part = {group: part for part, table in before.splits.items() for group in table.groups}  # pyright: ignore[reportOptionalIterable]
    assert all(part[g] == name for name, table in after.splits.items() for g in table.groups)  # pyright: ignore[reportOptionalIterable]


def test_one_group_alone_cannot_be_divided():
    with pytest.raises(ValueError, match=r"1 groups cannot be divided into test, validation, train"):
        cut(grouped(["one"] * 10, [0, 1] * 5), DataSettings(name="x"))


def test_each_image_is_tested_by_one_fold_and_never_by_what_trained_on_it(tmp_path):
    settings = DataSettings(name=str(class_folders(tmp_path, {"a": 200, "b": 100})), folds=4)
    data = open_data(settings)
    folds = folds_of(data, settings)
    tested = Counter(int(row) for fold in folds for row in fold.splits["test"].order)
    assert tested == Counter([*data.splits["train"].order.tolist(), *data.splits["validation"].order.tolist()])
    for fold in folds:
        orders = [set(table.order.tolist()) for table in fold.splits.values()]
        assert list(fold.splits) == list(PARTS)
        assert sum(map(len, orders)) == len(set.union(*orders))
        assert len(fold.splits["validation"]) == pytest.approx(0.15 * (len(orders[0]) + len(orders[1])), abs=5)
        shares = fold.splits["test"].class_counts(2) / len(fold.splits["test"])
        assert shares == pytest.approx([2 / 3, 1 / 3], abs=0.1)


def test_folds_keep_groups_together():
    settings = DataSettings(name="x", folds=3)
    data = grouped([str(i // 10) for i in range(120)], [0, 1] * 60)
    for fold in folds_of(cut(data, settings), settings):
        found = [set(table.groups.tolist()) for table in fold.splits.values()]  # pyright: ignore[reportOptionalMemberAccess]
        assert sum(map(len, found)) == len(set.union(*found))


def test_more_folds_than_images_are_refused(tmp_path):
    settings = DataSettings(name=str(class_folders(tmp_path, {"a": 4, "b": 4})), folds=30)
    with pytest.raises(ValueError, match=r"data.folds: 30 folds cannot be made"):
        folds_of(open_data(settings), settings)


def test_the_parts_of_another_model_are_taken_over_and_new_images_are_divided(tmp_path):
    photos = class_folders(tmp_path / "photos", {"a": 30, "b": 30})
    first = DataSettings(name=str(photos), split_seed=5)
    SplitRecord.of(open_data(first), first.name).save(tmp_path / "model" / SPLIT_FILE)
    for number in range(20):
        noise(5000 + number).save(photos / "a" / f"new{number}.png")
    before = parts_by_name(photos, split_seed=5)
    after = parts_by_name(photos, split_seed=6, split=str(tmp_path / "model"))
    old = {name for name in after if "new" not in name}
    assert {name: after[name] for name in old} == {name: before[name] for name in old}
    assert {after[name] for name in after if "new" in name} == {"train", "validation", "test"} or len(old) == 60


def test_parts_of_a_folder_without_any_are_refused(tmp_path):
    photos = class_folders(tmp_path / "photos", {"a": 3, "b": 3})
    with pytest.raises(ValueError, match=r"neither a folder with split.jsonl in it nor such a file"):
        open_data(DataSettings(name=str(photos), split=str(tmp_path)))
