import json
from pathlib import Path
from random import Random
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from vit_hf.data.settings import DataSettings
from vit_hf.data.sources.open_data import open_source
from vit_hf.data.sources.tables import ImageData


def lay(root: Path, *files: str) -> Path:
    for name in files:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x")
    return root


def opened(name: Path, **settings: Any) -> ImageData:
    return open_source(DataSettings(name=str(name), **settings))


def found(data: ImageData) -> dict[str, dict[str, Any]]:
    """split -> file -> its class, its set of labels, or its numbers; what is set aside is the split "unlabeled"."""
    splits: dict[str, dict[str, Any]] = {}
    for split, table in data.splits.items():
        for item, label in zip(table.items, table.labels.tolist(), strict=True):
            if data.problem_type == "single_label_classification":
                meant: Any = data.label_names[label]
            elif data.problem_type == "regression":
                meant = label
            else:
                meant = {name for name, there in zip(data.label_names, label, strict=True) if there}
            splits.setdefault(split, {})[Path(item).name] = meant
    if data.unlabeled is not None:
        splits["unlabeled"] = {Path(item).name: None for item in data.unlabeled.items}
    return splits


def photos(root: Path, text: str, *, files: int = 4, name: str = "labels.csv") -> Path:
    """root/images/0.jpg, ... and a table beside them"""
    lay(root, *(f"images/{number}.jpg" for number in range(files)))
    (root / name).write_text(text)
    return root


CLASSES = {"train": {"0.jpg": "cat", "1.jpg": "dog", "2.jpg": "cat", "3.jpg": "dog"}}
TABLES = {
    "labels.csv": "file,label\n0.jpg,cat\n1.jpg,dog\n2.jpg,cat\n3.jpg,dog\n",
    "semicolons.csv": "Datei;Art\n0.jpg;cat\n1.jpg;dog\n2.jpg;cat\n3.jpg;dog\n",
    "labels.tsv": "path\tclass\nimages/0.jpg\tcat\nimages/1.jpg\tdog\nimages/2.jpg\tcat\nimages/3.jpg\tdog\n",
    "no_endings.csv": "image_id,label\n0,cat\n1,dog\n2,cat\n3,dog\n",
    "no_header.csv": "0.jpg,cat\n1.jpg,dog\n2.jpg,cat\n3.jpg,dog\n",
    "elsewhere.csv": "".join(
        ["path,label\n", *(f"C:\\bob\\images\\{n}.jpg,{name}\n" for n, name in enumerate(["cat", "dog"] * 2))]
    ),
    "metadata.jsonl": "".join(
        f'{{"file_name": "images/{n}.jpg", "label": "{name}"}}\n' for n, name in enumerate(["cat", "dog"] * 2)
    ),
    "labels.json": json.dumps([{"img": f"{n}.jpg", "label": name} for n, name in enumerate(["cat", "dog"] * 2)]),
    "by_file.json": json.dumps({f"{n}.jpg": name for n, name in enumerate(["cat", "dog"] * 2)}),
}


@pytest.mark.parametrize("as_folder", [True, False])
@pytest.mark.parametrize(("name", "text"), TABLES.items(), ids=TABLES)
def test_a_table_is_given_as_itself_or_as_the_folder_that_holds_it(
    tmp_path: Path, name: str, text: str, as_folder: bool
):
    photos(tmp_path, text, name=name)
    data = opened(tmp_path if as_folder else tmp_path / name)
    assert found(data) == CLASSES
    assert len(data.understood) == 1


def test_a_parquet_of_paths_is_a_table(tmp_path: Path):
    photos(tmp_path, "", name="nothing.txt")
    rows = {"path": [str(tmp_path / f"images/{n}.jpg") for n in range(4)], "label": ["cat", "dog"] * 2}
    parquet.write_table(pyarrow.table(rows), tmp_path / "labels.parquet")
    assert found(opened(tmp_path / "labels.parquet")) == found(opened(tmp_path)) == CLASSES


def test_files_of_one_table_may_be_spread_over_folders(tmp_path: Path):
    lay(tmp_path, "images_part_1/0.jpg", "images_part_1/1.jpg", "images_part_2/2.jpg", "images_part_2/3.jpg")
    (tmp_path / "metadata.csv").write_text("image_id,label\n0,cat\n1,dog\n2,cat\n3,dog\n")
    assert found(opened(tmp_path / "metadata.csv")) == CLASSES
    lay(tmp_path, "images_part_1/3.jpg")
    with pytest.raises(ValueError, match=r"1 of 4 rows .*row 4 \(3\)"):
        opened(tmp_path / "metadata.csv")


def test_files_of_one_name_in_several_folders_are_asked_about(tmp_path: Path):
    lay(tmp_path, *(f"{folder}/{n}.jpg" for folder in "ab" for n in range(2)))
    (tmp_path / "labels.csv").write_text("file,label\n0.jpg,cat\n1.jpg,dog\n")
    with pytest.raises(ValueError, match=r"'0.jpg', which lie in several folders: a/, b/"):
        opened(tmp_path / "labels.csv")


def test_each_split_may_have_a_metadata_file_in_its_folder(tmp_path: Path):
    lay(tmp_path, "train/0.jpg", "train/1.jpg", "valid/0.jpg", "test/7.jpg")
    (tmp_path / "train" / "metadata.csv").write_text("file_name,label\n0.jpg,cat\n1.jpg,dog\n")
    (tmp_path / "valid" / "metadata.csv").write_text("file_name,label\n0.jpg,dog\n")
    (tmp_path / "test" / "metadata.csv").write_text("file_name\n7.jpg\n")
    data = opened(tmp_path)
    assert found(data) == {
        "train": {"0.jpg": "cat", "1.jpg": "dog"},
        "validation": {"0.jpg": "dog"},
        "unlabeled": {"7.jpg": None},
    }
    assert Path(data.splits["validation"].items[0]).parent.name == "valid"


def test_tables_called_like_splits_are_splits(tmp_path: Path):
    lay(tmp_path, "train/0.jpg", "train/1.jpg", "test/0.jpg")
    (tmp_path / "train.csv").write_text("id,label\n0,cat\n1,dog\n")
    (tmp_path / "test.csv").write_text("id\n0\n")
    (tmp_path / "sample_submission.csv").write_text("id,label\n0,cat\n")
    data = opened(tmp_path)
    assert found(data) == {"train": {"0.jpg": "cat", "1.jpg": "dog"}, "unlabeled": {"0.jpg": None}}
    assert data.unlabeled is not None
    assert Path(data.unlabeled.items[0]).parent.name == "test"


def test_a_column_of_splits_is_read_in_all_spellings(tmp_path: Path):
    root = photos(tmp_path, "file,label,subset\n0.jpg,cat,Training\n1.jpg,dog,trn\n2.jpg,cat,dev\n3.jpg,,TEST\n")
    assert found(opened(root)) == {
        "train": {"0.jpg": "cat", "1.jpg": "dog"},
        "validation": {"2.jpg": "cat"},
        "unlabeled": {"3.jpg": None},
    }
    photos(tmp_path, "file,label,split\n0.jpg,cat,train\n1.jpg,dog,train\n2.jpg,cat,holdout\n3.jpg,dog,train\n")
    with pytest.raises(ValueError, match="'holdout', which is no split"):
        opened(root)
    assert found(opened(root, test_split="holdout"))["test"] == {"2.jpg": "cat"}


@pytest.mark.parametrize(
    ("cells", "labels"),
    [
        (["cat", "cat, dog", "dog", "cat"], [{"cat"}, {"cat", "dog"}, {"dog"}, {"cat"}]),
        (["cat|dog", "dog|bird", "bird", "cat"], [{"cat", "dog"}, {"dog", "bird"}, {"bird"}, {"cat"}]),
        (['["cat"]', '["cat", "dog"]', "[]", "['dog']"], [{"cat"}, {"cat", "dog"}, set(), {"dog"}]),
        (["Paris, France", "London, UK", "Paris, France", "Oslo, Norway"], None),
    ],
)
def test_several_labels_in_a_cell_are_told_from_a_name_with_a_comma(
    tmp_path: Path, cells: list[str], labels: list[set[str]] | None
):
    records = [json.dumps({"file": f"{place}.jpg", "label": cell}) for place, cell in enumerate(cells)]
    data = opened(photos(tmp_path, "\n".join(records), name="labels.jsonl"))
    if labels is None:
        assert data.problem_type == "single_label_classification"
        assert [*found(data)["train"].values()] == cells
    else:
        assert data.problem_type == "multi_label_classification"
        assert [*found(data)["train"].values()] == labels
        assert data.splits["train"].labels.dtype == "float32"


@pytest.mark.parametrize("cells", [["Paris, France", "Lyon, France", "Paris", "Oslo"], ["a|b", "c|d", "a|b", "c|d"]])
def test_a_cell_that_may_be_one_class_or_several_is_asked_about(tmp_path: Path, cells: list[str]):
    rows = "".join(f'{place}.jpg,"{cell}"\n' for place, cell in enumerate(cells))
    root = photos(tmp_path, f"file,label\n{rows}")
    with pytest.raises(ValueError, match="one class, or several labels"):
        opened(root)
    assert [*found(opened(root, problem_type="single_label_classification"))["train"].values()] == cells
    several = found(opened(root, label_separator="|" if "|" in cells[0] else ","))["train"]
    assert several["0.jpg"] == {part.strip() for part in cells[0].replace("|", ",").split(",")}


def test_columns_of_zeros_and_ones_are_several_labels(tmp_path: Path):
    root = photos(tmp_path, "file,sun,sea\n0.jpg,1,0\n1.jpg,1,1\n2.jpg,0,0\n3.jpg,0,1\n")
    data = opened(root)
    assert data.label_names == ["sun", "sea"]
    assert [*found(data)["train"].values()] == [{"sun"}, {"sun", "sea"}, set(), {"sea"}]
    assert data.splits["train"].class_counts(2).tolist() == [2, 2]
    assert data.splits["train"].select([1]).labels.tolist() == [[1.0, 1.0]]
    assert opened(root, label_columns=["sea", "sun"]).label_names == ["sea", "sun"]


def test_columns_with_a_single_one_in_each_row_are_classes_where_that_is_said(tmp_path: Path):
    root = photos(tmp_path, "file,cat,dog\n0.jpg,1.0,0.0\n1.jpg,0.0,1.0\n2.jpg,1.0,0.0\n3.jpg,0.0,1.0\n")
    assert opened(root).problem_type == "multi_label_classification"
    assert "single_label_classification makes classes of them" in opened(root).understood[0]
    assert found(opened(root, problem_type="single_label_classification")) == CLASSES


def test_fractions_are_regression_and_whole_numbers_are_classes_unless_told(tmp_path: Path):
    root = photos(tmp_path, "file,age\n0.jpg,1.5\n1.jpg,2\n2.jpg,3\n3.jpg,4\n")
    data = opened(root)
    assert (data.problem_type, data.label_names) == ("regression", ["age"])
    assert data.splits["train"].labels.tolist() == [[1.5], [2.0], [3.0], [4.0]]
    photos(tmp_path, "file,age\n0.jpg,10\n1.jpg,9\n2.jpg,10\n3.jpg,9\n")
    assert opened(root).label_names == ["10", "9"]  # as class folders are sorted
    assert opened(root, problem_type="regression").splits["train"].labels.ravel().tolist() == [10, 9, 10, 9]
    photos(tmp_path, "file,x,y\n0.jpg,0.5,10\n1.jpg,0.1,9\n2.jpg,0.2,10\n3.jpg,0.3,9\n")
    assert opened(root).splits["train"].labels.shape == (4, 2)


def test_groups_come_from_a_column(tmp_path: Path):
    root = photos(tmp_path, "file,label,patient\n0.jpg,ill,7\n1.jpg,well,8\n2.jpg,ill,7\n3.jpg,well,9\n")
    table = opened(root, group_column="patient", label_column="label").splits["train"]
    assert table.groups is not None
    assert table.groups.tolist() == ["7", "8", "7", "9"]


WRONG = {
    "a row without a file": (
        "file,label\n0.jpg,cat\n1.jpg,dog\n9.jpg,cat\n",
        {},
        r"1 of 3 rows .*row 3 \(9.jpg\).*skip",
    ),
    "an empty label": ("file,label\n0.jpg,cat\n1.jpg,\n2.jpg,dog\n", {}, r"1 rows .*no label: labels.csv, row 2"),
    "two labels of a file": ("file,label\n0.jpg,cat\n0.jpg,dog\n1.jpg,dog\n", {}, r"different labels.*multi_label"),
    "a missing column": ("file,label\n0.jpg,cat\n1.jpg,dog\n", {"label_column": "lable"}, "did you mean 'label'"),
    "a missing group": ("file,label\n0.jpg,cat\n1.jpg,dog\n", {"group_column": "who"}, "--data.group_column"),
    "several candidates": ("file,breed,color\n0.jpg,pug,red\n1.jpg,cur,red\n", {}, "breed, color.*--data.label_column"),
    "a ragged row": ("file,label\n0.jpg,cat\n1.jpg,dog,big\n", {}, r"2 columns .* 3 values in row 3"),
    "a text among numbers": (
        "file,age\n0.jpg,1\n1.jpg,x\n",
        {"problem_type": "regression"},
        "'x', which are no numbers",
    ),
    "a class of the test split alone": (
        "file,label,split\n0.jpg,cat,train\n1.jpg,dog,train\n2.jpg,dgo,test\n",
        {},
        r"row 3 \(2.jpg\): There is no class 'dgo'; did you mean 'dog'",
    ),
    "nothing that is a file": ("what,label\na,cat\nb,dog\n", {}, "No column .*names files that are there"),
    "captions": (
        "file,text\n0.jpg,a cat\n1.jpg,a dog\n2.jpg,two dogs\n3.jpg,the sun\n",
        {},
        "Each row has its own text in the column 'text'",
    ),
    "files on the network": ("file,label\nhttp://a/0.jpg,cat\nhttp://a/1.jpg,dog\n", {"layout": "table"}, "network"),
    "no rows": ("file,label\n", {}, "has no rows"),
}


@pytest.mark.parametrize(("text", "settings", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_table_is_met_with_its_first_rows_and_the_way_out(
    tmp_path: Path, text: str, settings: dict, message: str
):
    with pytest.raises(ValueError, match=message):
        opened(photos(tmp_path, text), **settings)


def test_rows_without_files_are_left_out_where_that_is_asked_and_files_without_rows_are_named(tmp_path: Path):
    data = opened(photos(tmp_path, "file,label\n0.jpg,cat\n1.jpg,dog\n9.jpg,cat\n"), on_error="skip")
    assert found(data) == {"train": {"0.jpg": "cat", "1.jpg": "dog"}}
    assert "1 rows without a file" in data.understood[1]
    assert "2 images without a row (2.jpg, 3.jpg)" in data.understood[1]


def test_several_rows_of_a_file_are_several_labels_where_that_is_said(tmp_path: Path):
    root = photos(tmp_path, "file,label\n0.jpg,cat\n0.jpg,dog\n1.jpg,dog\n")
    several = found(opened(root, problem_type="multi_label_classification"))
    assert several == {"train": {"0.jpg": {"cat", "dog"}, "1.jpg": {"dog"}}}


def test_class_folders_and_a_table_that_disagree_are_asked_about(tmp_path: Path):
    lay(tmp_path, "anna/0.jpg", "anna/1.jpg", "ben/2.jpg", "ben/3.jpg")
    table = tmp_path / "labels.csv"
    table.write_text("file,label\nanna/0.jpg,ill\nanna/1.jpg,well\nben/2.jpg,ill\nben/3.jpg,well\n")
    with pytest.raises(ValueError, match=r"(?s)say different labels.*layout classes.*layout table"):
        opened(tmp_path)
    assert opened(tmp_path, layout="classes").label_names == ["anna", "ben"]
    assert opened(tmp_path, layout="table").label_names == opened(table).label_names == ["ill", "well"]
    table.write_text("file,label\nanna/0.jpg,0\nanna/1.jpg,0\nben/2.jpg,1\nben/3.jpg,1\n")
    assert opened(tmp_path).label_names == ["anna", "ben"]
    table.write_text("file,taken\nanna/0.jpg,1999\nanna/1.jpg,2000\nben/2.jpg,1999\nben/3.jpg,2000\n")
    assert opened(tmp_path).label_names == ["anna", "ben"]


def random_table(root: Path, random: Random) -> dict[str, dict[str, Any]]:
    """A table in a random form -> what it means"""
    count = random.randint(6, 20)
    stems = random.sample(["IMG_01", "a", "été", "x y", *(f"{n:04d}" for n in range(30))], count)
    folder = random.choice(["", "images/", "data/photos/"])
    files = [f"{folder}{stem}.{random.choice(['jpg', 'PNG', 'webp'])}" for stem in stems]
    lay(root, *files)
    styles = [lambda file: file, lambda file: file.removeprefix(folder), lambda file: str(root / file)]
    styles.append(lambda file: file.removeprefix(folder).rpartition(".")[0])
    style = random.choice(styles)
    kind = random.choice(["classes", "numbers", "fractions", "switches", "separated", "lists"])
    column = random.choice(["label", "class", "target"])
    meant, rows = {"train": {}, "test": {}}, []
    split_names = random.choice([None, {"train": ["train", "TRAINING"], "test": ["test", "tst"]}])
    names = ["ant", "bee", "cow"]
    for place, file in enumerate(files):
        some = {names[place % 3], *random.sample(names, random.randint(0, 2))} if place >= 3 else {names[place]}
        label: Any = {"classes": names[place % 3], "numbers": str(place % 3), "fractions": [place + 0.5]}.get(
            kind, some
        )
        row: dict[str, Any] = {random.choice(["file"]): style(file)}
        if kind == "switches":
            row |= {name: int(name in some) for name in names}
        elif kind == "separated":
            row[column] = random.choice(["|", "|"]).join(sorted(some))
        elif kind == "lists":
            row[column] = sorted(some)
        else:
            row[column] = label[0] if kind == "fractions" else label
        split = "test" if split_names and place % 4 == 3 else "train"
        if split_names:
            row["split"] = random.choice(split_names[split])
        meant[split][Path(file).name] = label
        rows.append(row)
    write_rows(root, rows, random.choice(["csv", "tsv", "jsonl", "json", "parquet"]))
    return {split: files for split, files in meant.items() if files}


def write_rows(root: Path, rows: list[dict[str, Any]], ending: str) -> None:
    path = root / f"labels.{ending}"
    if ending == "parquet":
        parquet.write_table(pyarrow.table({name: [row[name] for row in rows] for name in rows[0]}), path)
    elif ending in ("json", "jsonl"):
        path.write_text(json.dumps(rows) if ending == "json" else "\n".join(map(json.dumps, rows)))
    else:
        sign = "," if ending == "csv" else "\t"
        quoted = [[f'"{str(value).replace(chr(34), chr(39))}"' for value in row.values()] for row in rows]
        path.write_text("\n".join([sign.join(rows[0]), *map(sign.join, quoted)]))


@pytest.mark.parametrize("seed", range(60))
def test_a_random_table_is_read_right(tmp_path: Path, seed: int):
    meant = random_table(tmp_path, Random(seed))
    table = next(path for path in tmp_path.iterdir() if path.name.startswith("labels."))
    assert found(opened(Random(seed).choice([tmp_path, table]))) == meant
