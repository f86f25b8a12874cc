from pathlib import Path
from random import Random
from typing import Any

import pytest
from made_archives import save_tar, save_zip
from made_images import noise, png

import vit_hf
from vit_hf.data.settings import DataSettings
from vit_hf.data.sources import archives
from vit_hf.data.sources.open_data import open_source
from vit_hf.data.sources.split_record import SplitRecord
from vit_hf.data.sources.tables import ImageData
from vit_hf.runs.evaluate import evaluate

ENDINGS = ("zip", "tar", "tar.gz", "tgz", "tar.xz", "ZIP")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def pack(path: Path, files: dict[str, bytes]) -> Path:
    """A zip or tar archive, by its ending."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix.lower() == ".zip":
        return save_zip(path, files)
    return save_tar(path, files, {"gz": "w:gz", "tgz": "w:gz", "xz": "w:xz"}.get(path.suffix[1:], "w"))


def of(*names: str) -> dict[str, bytes]:
    """Files that hold next to nothing: a scan opens none that has an ending of an image."""
    return {name: b"x" + name.encode() for name in names}


def lay(root: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def opened(name: object, **settings: Any) -> ImageData:
    return open_source(DataSettings(name=str(name), **settings))


def found(data: ImageData) -> dict[str, dict[str, str]]:
    """split -> name of a file -> its class; what is set aside is the split "unlabeled"."""
    splits: dict[str, dict[str, str]] = {}
    for split, table in data.splits.items():
        for item, label in zip(table.items, table.labels.tolist(), strict=True):
            splits.setdefault(split, {})[Path(item).name] = data.label_names[label]
    if data.unlabeled is not None:
        splits["unlabeled"] = {Path(item).name: "" for item in data.unlabeled.items}
    return splits


def read(name: object, **settings: Any) -> dict[str, dict[str, str]]:
    return found(opened(name, **settings))


TRAIN = of("cat/1.jpg", "cat/2.jpg", "dog/3.jpg")
VAL = of("cat/4.jpg", "dog/5.jpg")
TRAINED = {"1.jpg": "cat", "2.jpg": "cat", "3.jpg": "dog"}
VALIDATED = {"4.jpg": "cat", "5.jpg": "dog"}


def below(folder: str, files: dict[str, bytes]) -> dict[str, bytes]:
    return {f"{folder}/{name}": data for name, data in files.items()}


def test_each_archive_is_the_split_of_its_name_and_one_without_classes_is_set_aside(tmp_path: Path):
    pack(tmp_path / "data" / "train.zip", TRAIN)
    pack(tmp_path / "data" / "val.tar.gz", VAL)
    pack(tmp_path / "data" / "test.zip", of("6.jpg", "7.jpg"))
    lay(tmp_path / "data", {"readme.txt": b"about"})
    data = opened(tmp_path / "data")
    assert found(data) == {"train": TRAINED, "validation": VALIDATED, "unlabeled": {"6.jpg": "", "7.jpg": ""}}
    assert data.understood[0].startswith(str(tmp_path / "data"))
    assert "Set aside for predict, without labels: 2 of test" in data.understood[1]


@pytest.mark.parametrize("within", ["train", "flowers", "data/images", "flowers/photos"])
def test_class_folders_may_be_wrapped_in_an_archive(tmp_path: Path, within: str):
    pack(tmp_path / "data" / "train.zip", below(within, TRAIN))
    pack(tmp_path / "data" / "val.zip", below(within.replace("train", "val"), VAL))
    assert read(tmp_path / "data") == {"train": TRAINED, "validation": VALIDATED}


SPELLINGS = {
    "train": ["train", "Training", "TRAIN", "trn", "train_images", "train2017", "images-train"],
    "validation": ["val", "valid", "VALIDATION", "dev", "eval", "val_images"],
    "test": ["test", "testing", "tst", "test_set", "TestImages"],
}


@pytest.mark.parametrize("seed", range(40))
def test_random_splits_read_the_same_zipped_as_unzipped(tmp_path: Path, seed: int):
    random = Random(seed)
    splits = ["train", *random.sample(["validation", "test"], random.randint(1, 2))]
    data_set, within = random.choice(["", "my_flowers_"]), random.choice(["", "images/", "data/"])
    classes = random.sample(["cat", "dog", "été", "train station", "7", "b.c"], random.randint(2, 4))
    numbers = iter(range(1000))
    plain, packed = tmp_path / "plain", tmp_path / "packed"
    for split in splits:
        called = data_set + random.choice(SPELLINGS[split])
        files = {}
        for name in classes:
            for _ in range(random.randint(1, 3)):
                files |= of(f"{within}{name}/{random.choice(['', 'deep/'])}{next(numbers)}.jpg")
        if split != "train" and not data_set and random.random() < 0.3:
            files = of(*(f"{next(numbers)}.jpg" for _ in range(3)))
        lay(plain / called, files)
        pack(packed / f"{called}.{random.choice(ENDINGS)}", files)
    assert read(packed) == read(plain)
    one, other = (SplitRecord.of(opened(root), str(root)) for root in (plain, packed))
    assert one.digest == other.digest


def test_a_folder_with_one_archive_is_that_archive(tmp_path: Path):
    root = lay(tmp_path / "downloads" / "kaggle", {"readme.md": b"about", "cover.png": b"x"})
    path = pack(root / "photos.zip", below("photos", TRAIN))
    assert read(root) == read(path) == {"train": TRAINED}
    (root / "cover.png").unlink()
    assert read(tmp_path / "downloads") == read(root) == {"train": TRAINED}
    path.unlink()
    samples = {f"{number}.cls": str(number % 2).encode() for number in range(4)} | of(*(f"{n}.jpg" for n in range(4)))
    pack(root / "shard.tar.gz", dict(sorted(samples.items())))
    assert opened(root).label_names == ["0", "1"]


def test_an_archive_of_archives_is_opened_and_one_without_an_end_refused(tmp_path: Path):
    train, val = (pack(tmp_path / "made.zip", files).read_bytes() for files in (TRAIN, VAL))
    path = pack(tmp_path / "competition.zip", {"train.zip": train, "val.zip": val})
    assert read(path) == {"train": TRAINED, "validation": VALIDATED}
    for number in range(5):
        path = pack(tmp_path / f"{number}.zip", {path.name: path.read_bytes()})
    with pytest.raises(ValueError, match="an archive in an archive in an archive"):
        opened(path)
    assert len([*(tmp_path / "cache").rglob("*.zip")]) < 10


LABELS = "id,label\n1,cat\n2,dog\n3,cat\n4,dog\n"
LISTED = {"1.jpg": "cat", "2.jpg": "dog", "3.jpg": "cat", "4.jpg": "dog"}
PICTURES = of("1.jpg", "2.jpg", "3.jpg", "4.jpg")


@pytest.mark.parametrize("table", ["labels.csv", "train.csv", "train_labels.csv.zip"])
@pytest.mark.parametrize("within", ["", "train/"])
def test_a_table_names_the_files_in_archives_beside_it(tmp_path: Path, table: str, within: str):
    root = tmp_path / "kaggle"
    pack(root / "train.zip", {f"{within}{name}": data for name, data in PICTURES.items()})
    pack(root / "test.zip", of("test/5.jpg", "test/6.jpg"))
    if table.endswith(".zip"):
        pack(root / table, {table.removesuffix(".zip"): LABELS.encode()})
    else:
        lay(root, {table: LABELS.encode()})
    lay(root, {"sample_submission.csv": b"id,label\n5,cat\n6,cat\n"})
    assert read(root) == {"train": LISTED}


def test_a_table_is_given_as_itself_too(tmp_path: Path):
    pack(tmp_path / "kaggle" / "pictures.tar.gz", PICTURES)
    table = lay(tmp_path / "kaggle", {"labels.csv": LABELS.encode()}) / "labels.csv"
    assert read(table) == read(tmp_path / "kaggle") == {"train": LISTED}
    table.write_text(LABELS.replace("4,dog", "5,dog"))
    with pytest.raises(ValueError, match=r"labels.csv name no file that is there: labels.csv, row 4 \(5\)"):
        opened(table)


def test_rows_of_test_without_labels_are_set_aside(tmp_path: Path):
    root = lay(tmp_path / "kaggle", {"train.csv": LABELS.encode(), "test.csv": b"id\n5\n6\n"})
    pack(root / "train.zip", PICTURES)
    pack(root / "test.zip", of("5.jpg", "6.jpg"))
    assert read(root) == {"train": LISTED, "unlabeled": {"5.jpg": "", "6.jpg": ""}}


def test_files_of_one_name_in_two_archives_are_told_apart(tmp_path: Path):
    root = lay(tmp_path / "kaggle", {"labels.csv": b"file,label\ntrain/1.jpg,cat\ntest/1.jpg,dog\ntrain/2.jpg,dog\n"})
    pack(root / "train.zip", of("1.jpg", "2.jpg"))
    pack(root / "test.zip", of("1.jpg"))
    table = opened(root).splits["train"]
    assert [Path(item).parent.name for item in table.items] == ["train", "test", "train"]
    (root / "labels.csv").unlink()
    lay(root, {"train.csv": b"id,label\n1,cat\n2,dog\n", "test.csv": b"id,label\n1,dog\n"})
    assert read(root) == {"train": {"1.jpg": "cat", "2.jpg": "dog"}, "test": {"1.jpg": "dog"}}


def test_a_table_may_speak_of_files_in_several_archives(tmp_path: Path):
    root = lay(tmp_path / "xrays", {"entries.csv": LABELS.encode()})
    pack(root / "images_001.tar.gz", of("images/1.jpg", "images/2.jpg"))
    pack(root / "images_002.tar.gz", of("images/3.jpg", "images/4.jpg"))
    assert read(root) == {"train": LISTED}


def test_an_archive_that_was_unpacked_where_it_lies_is_passed_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    root = lay(tmp_path / "data", {**below("train", TRAIN), **below("val", VAL)})
    pack(root / "train.zip", TRAIN)
    pack(root / "flowers.tar.gz", {**below("train", TRAIN), "__MACOSX/._train": b"x"})
    assert read(root) == {"train": TRAINED, "validation": VALIDATED}
    assert "Unpacking" not in capsys.readouterr().out


UNCLEAR = {
    "names_that_say_no_split": (["cats.zip", "dogs.zip"], {}, r"cats.zip, dogs.zip says no split.*layout classes"),
    "a_stranger": (["train.zip", "val.zip", "extra.zip"], {}, r"and extra.zip says no split"),
    "one_split_twice": (["train1.zip", "train2.zip"], {}, r"all seem to be the split 'train'.*--data.train_split"),
    "one_name_twice": (["train.zip", "train.tar"], {"labels.csv": b"id,label\n1,a\n"}, r"of one name"),
    "beside_class_folders": (["extra.zip"], below("photos", TRAIN), r"extra.zip beside folders of images.*layout"),
}


@pytest.mark.parametrize(("packed", "files", "sentence"), UNCLEAR.values(), ids=UNCLEAR)
def test_what_is_not_clear_is_refused_before_anything_is_unpacked(
    tmp_path: Path, packed: list[str], files: dict[str, bytes], sentence: str
):
    root = lay(tmp_path / "data", files)
    for number, name in enumerate(packed):
        pack(root / name, of(f"a/{number}.png", f"b/{number}.png"))
    with pytest.raises(ValueError, match=sentence) as refused:
        opened(root)
    assert str(root) in str(refused.value)
    assert not (tmp_path / "cache").exists()


def test_the_ways_out_of_what_is_not_clear_are_ways(tmp_path: Path):
    animals, parts, photos = (tmp_path / name for name in ("animals", "parts", "photos"))
    pack(animals / "cats.zip", of("1.jpg", "2.jpg"))
    pack(animals / "dogs.zip", of("all/3.jpg"))
    assert read(animals, layout="classes") == {"train": {"1.jpg": "cats", "2.jpg": "cats", "3.jpg": "dogs"}}
    pack(parts / "train1.zip", TRAIN)
    pack(parts / "train2.zip", VAL)
    assert read(parts, train_split="train1", test_split="train2") == {"train": TRAINED, "test": VALIDATED}
    pack(lay(photos, TRAIN) / "extra.zip", VAL)
    assert read(photos, layout="classes") == {"train": TRAINED}


def test_the_limits_of_unpacking_hold_for_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pack(tmp_path / "data" / "train.zip", TRAIN)
    pack(tmp_path / "data" / "test.zip", of("../out.png"))
    with pytest.raises(ValueError, match=r"test.zip holds '../out.png', which would be written outside"):
        opened(tmp_path / "data")
    pack(tmp_path / "data" / "test.zip", of("1.jpg"))
    monkeypatch.setattr(archives, "ROOM", 0)
    monkeypatch.setattr(archives, "GROWTH", 0)
    with pytest.raises(ValueError, match=r"test.zip grows beyond"):
        opened(tmp_path / "data")


def test_each_is_unpacked_once_for_the_folder_and_again_where_it_changed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    root = tmp_path / "data"
    pack(root / "train.zip", TRAIN)
    pack(root / "val.zip", VAL)
    read(root)
    pack(root / "val.zip", VAL | of("dog/8.jpg"))
    assert read(root)["validation"] == {**VALIDATED, "8.jpg": "dog"}
    said = capsys.readouterr().out
    assert (said.count("train.zip"), said.count("val.zip")) == (1, 2)
    assert read(root / "val.zip")["train"] == {**VALIDATED, "8.jpg": "dog"}
    assert read(root)["train"] == TRAINED


def test_streaming_is_refused(tmp_path: Path):
    pack(tmp_path / "data" / "train.zip", TRAIN)
    pack(tmp_path / "data" / "val.zip", VAL)
    with pytest.raises(ValueError, match=r"--data.streaming True .* is a folder of archives"):
        opened(tmp_path / "data", streaming=True)


def test_a_model_of_such_a_folder_is_evaluated_without_its_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    root, numbers = tmp_path / "data", iter(range(100))
    for split, count in {"train": 8, "test": 3}.items():
        files = {f"{name}/{n}.png": png(noise(next(numbers))) for name in ("cat", "dog") for n in range(count)}
        pack(root / f"{split}.zip", files)
    sizes = {"image_size": 8, "patch_size": 4, "hidden_size": 16, "num_hidden_layers": 1, "intermediate_size": 32}
    words = {**sizes, "per_device_train_batch_size": 4, "use_cpu": True, "output_dir": str(tmp_path / "out")}
    run = vit_hf.train(str(root), max_steps=2, **words)
    assert run.metrics["images"] == 6
    names = {entry.name for entry in SplitRecord.load(tmp_path / "out" / "split.jsonl").entries}
    assert {"test/cat/0.png", "train/dog/7.png"} <= names
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another cache"))
    own = evaluate(str(tmp_path / "out"))
    assert (own.split, len(own.images)) == ("test", 6)
    other = evaluate(str(tmp_path / "out"), str(root / "train.zip"), split="all")
    assert len(other.images) == 16
