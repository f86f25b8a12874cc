import json
import shutil

import numpy as np
import pytest
from made_images import class_folders, noise

from vit_hf.data.settings import DataSettings
from vit_hf.data.sources.open_data import open_data
from vit_hf.data.sources.split_record import NEW, Entry, SplitRecord


def record_of(photos, **settings) -> SplitRecord:
    return SplitRecord.of(open_data(DataSettings(name=str(photos), **settings)), str(photos))


@pytest.fixture
def photos(tmp_path):
    return class_folders(tmp_path / "photos", {"cat": 20, "dög": 20})


def test_it_comes_back_from_its_file(photos, tmp_path):
    record = record_of(photos)
    record.save(tmp_path / "split.jsonl")
    assert SplitRecord.load(tmp_path / "split.jsonl") == record
    assert record.source == str(photos)
    assert (
        {entry.name.split("/")[0] for entry in record.entries}
        == {"cat", "dög"}
        == {str(e.label) for e in record.entries}
    )


@pytest.mark.parametrize(
    "text", ["", "nothing", '{"source": null}\n{"name": 1}', '{"other": null}', '{"source": 1}\n[]']
)
def test_a_file_that_is_none_is_refused(tmp_path, text):
    (tmp_path / "split.jsonl").write_text(text)
    with pytest.raises(ValueError, match=r"split.jsonl is not the split of a model"):
        SplitRecord.load(tmp_path / "split.jsonl")


def test_it_does_not_matter_where_the_data_lies_or_how_that_is_spelled(photos, tmp_path, monkeypatch):
    before = record_of(photos)
    monkeypatch.chdir(tmp_path)
    assert record_of("./photos/").digest == before.digest
    shutil.move(photos, tmp_path / "moved")
    after = record_of(tmp_path / "moved")
    assert (after.digest, before.differences(after)) == (before.digest, [])


def test_each_kind_of_change_is_named_with_its_image(photos):
    before = record_of(photos)
    (photos / "cat" / "0.png").rename(photos / "cat" / "new name.png")
    (photos / "cat" / "1.png").unlink()
    (photos / "cat" / "2.png").rename(photos / "dög" / "2cat.png")
    noise(500).save(photos / "cat" / "3.png")
    noise(501).save(photos / "dög" / "another.png")
    lines = before.differences(record_of(photos))
    assert "1 missing: cat/1.png" in lines
    (renamed,) = (line for line in lines if line.startswith("2 renamed: "))
    assert {"cat/0.png (now cat/new name.png)", "cat/2.png (now dög/2cat.png)"} == set(renamed[11:].split(", "))
    assert any(line.startswith("1 of another label: cat/2.png (cat before, dög now)") for line in lines)
    assert any(line.startswith("1 of another content: cat/3.png") for line in lines)
    assert "1 new: dög/another.png" in lines


def test_images_of_one_name_are_told_apart():
    rows = [Entry("x.png", str(number), "a", "train") for number in range(3)]
    assert SplitRecord(rows).differences(SplitRecord(rows)) == []
    assert SplitRecord(rows).differences(SplitRecord(rows[:2])) == ["1 missing: x.png #3"]


def test_what_was_trained_on_once_counts_as_trained_on():
    record = SplitRecord([Entry("a", "h", "x", "train"), Entry("b", "h", "x", "test")])
    assert record.parts == {"h": "train"}


def test_its_part_is_known_of_every_image_under_any_name(photos, tmp_path):
    record = record_of(photos)
    for number, file in enumerate(sorted((photos / "cat").iterdir())):
        file.rename(photos / "cat" / f"z{number:03d}.png")
    noise(900).save(photos / "cat" / "z999.png")
    everything = open_data(DataSettings(name=str(photos), test_fraction=0, validation_fraction=0)).splits["train"]
    parts = record.part_of(everything)
    assert parts[20] == NEW
    assert sorted(parts[parts != NEW].tolist()) == sorted(entry.part for entry in record.entries)


def test_labels_of_several_classes_and_numbers_are_written_as_people_read_them(photos):
    data = open_data(DataSettings(name=str(photos)))
    several = {part: table.with_labels(np.eye(2)[table.labels]) for part, table in data.splits.items()}
    kinds = {"multi_label_classification": ["cat"], "regression": [1.0, 0.0]}
    for kind, label in kinds.items():
        from dataclasses import replace

        record = SplitRecord.of(replace(data, splits=several, problem_type=kind), str(photos))  # pyright: ignore[reportArgumentType]
        assert next(entry.label for entry in record.entries if entry.name.startswith("cat")) == label
        assert json.loads(json.dumps(label)) == label
