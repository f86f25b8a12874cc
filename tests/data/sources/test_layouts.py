import unicodedata
from pathlib import Path
from random import Random

import pytest

from vit_hf.data.decode.videos import open_footage
from vit_hf.data.settings import DataSettings
from vit_hf.data.sources.folders import items_under
from vit_hf.data.sources.image_folders import scan_folder
from vit_hf.data.sources.open_data import open_data, open_source
from vit_hf.data.sources.split_names import split_called, splits_called
from vit_hf.data.sources.tables import ImageData
from vit_hf.modality import VIDEO


def lay(root: Path, *files: str) -> Path:
    """Files that hold next to nothing: a scan opens none that has an ending of an image."""
    for name in files:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    return root


def found(data: ImageData) -> dict[str, dict[str, set[str]]]:
    """split -> class -> names of files; what is set aside is the split "unlabeled"."""
    splits = {}
    for split, table in data.splits.items():
        rows = zip(table.items, table.labels, strict=True)
        for item, label in rows:
            splits.setdefault(split, {}).setdefault(data.label_names[label], set()).add(Path(item).name)
    if data.unlabeled is not None:
        splits["unlabeled"] = {"": {Path(item).name for item in data.unlabeled.items}}
    return splits


def read(root: Path, **settings) -> dict[str, dict[str, set[str]]]:
    return found(open_source(DataSettings(name=str(root), **settings)))


SPELLED = {
    "train": "train TRAIN training trn train_set train-data trainset TrainImages images_train train2017 01_train",
    "validation": "valid val dev eval evaluation validation_set VAL val2017 devset",
    "test": "test testing tst test_images TestSet test-unlabeled imagestest",
    None: "bus trains tester latest device value contest test_tube train_test",
}


@pytest.mark.parametrize(("split", "names"), SPELLED.items())
def test_splits_are_known_in_their_spellings(split: str | None, names: str):
    assert {name: split_called(name) for name in names.split()} == dict.fromkeys(names.split(), split)


def test_a_compound_is_a_split_beside_its_sibling_alone():
    assert splits_called(["my_flowers_train", "my_flowers_val"])[0] == {
        "my_flowers_train": "train",
        "my_flowers_val": "validation",
    }
    assert splits_called(["train_station", "test_tube"]) == ({}, {"train_station": "train", "test_tube": "test"})


def test_train_beside_eval_are_two_splits(tmp_path: Path):
    lay(tmp_path, "train/cat/1.jpg", "train/dog/2.jpg", "eval/cat/3.jpg", "eval/dog/4.jpg")
    assert read(tmp_path) == {
        "train": {"cat": {"1.jpg"}, "dog": {"2.jpg"}},
        "validation": {"cat": {"3.jpg"}, "dog": {"4.jpg"}},
    }


def test_a_class_called_train_stands_beside_other_classes(tmp_path: Path):
    lay(tmp_path, "train/1.jpg", "bus/2.jpg", "car/3.jpg")
    assert read(tmp_path) == {"train": {"bus": {"2.jpg"}, "car": {"3.jpg"}, "train": {"1.jpg"}}}


def test_a_flat_test_folder_is_set_aside_for_predict(tmp_path: Path):
    root = lay(tmp_path, "train/cat/1.jpg", "train/dog/2.jpg", "test/3.jpg", "test/4.jpg")
    data = scan_folder(root)
    assert found(data)["unlabeled"] == {"": {"3.jpg", "4.jpg"}}
    assert [*data.splits] == ["train"]
    assert "Set aside for predict, without labels: 2 of test." in data.understood[1]


def test_files_that_are_no_images_are_counted_and_a_broken_image_is_kept(tmp_path: Path):
    junk = ["cat/Thumbs.db", "cat/desktop.ini", "dog/.DS_Store", "__MACOSX/cat/._1.jpg", "dog/readme.txt"]
    lay(tmp_path, "cat/1.jpg", "dog/broken.png", "embeddings.parquet", "labels.txt", "dog/n_frames", *junk)
    (tmp_path / "cat" / "without_ending").write_bytes(b"\xff\xd8\xff\xe0 as a JPEG begins")
    data = scan_folder(tmp_path)
    assert found(data) == {"train": {"cat": {"1.jpg", "without_ending"}, "dog": {"broken.png"}}}
    assert "Passed over: 6 files that are no images (embeddings.parquet, labels.txt, Thumbs.db and 3 more)" in str(
        data.understood
    )


def test_a_folder_that_repeats_the_name_of_its_split_is_stepped_through(tmp_path: Path):
    lay(tmp_path, "seg_train/seg_train/sea/1.jpg", "seg_train/seg_train/hill/2.jpg", "seg_test/seg_test/sea/3.jpg")
    lay(tmp_path, "seg_pred/seg_pred/4.jpg")
    assert read(tmp_path) == {
        "train": {"hill": {"2.jpg"}, "sea": {"1.jpg"}},
        "test": {"sea": {"3.jpg"}},
        "unlabeled": {"": {"4.jpg"}},
    }


def test_two_spellings_of_unicode_are_one_class(tmp_path: Path):
    composed, apart = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
    lay(tmp_path, f"train/{composed}/1.jpg", f"train/{apart}/2.jpg", "train/bar/3.jpg", f"test/{apart}/4.jpg")
    assert read(tmp_path) == {
        "train": {"bar": {"3.jpg"}, composed: {"1.jpg", "2.jpg"}},
        "test": {composed: {"4.jpg"}},
    }


def test_deeper_levels_belong_to_their_class_and_wrapping_folders_to_none(tmp_path: Path):
    lay(tmp_path, "photos/data/train/images/cat/a/1.jpg", "photos/data/train/images/cat/b/c/2.jpg")
    lay(tmp_path, "photos/data/train/images/dog/3.jpg", "photos/data/test/images/dog/4.jpg", "photos/data/notes.txt")
    assert read(tmp_path) == {"train": {"cat": {"1.jpg", "2.jpg"}, "dog": {"3.jpg"}}, "test": {"dog": {"4.jpg"}}}


def test_splits_may_lie_in_the_classes(tmp_path: Path):
    lay(tmp_path, "cat/train/1.jpg", "cat/val/2.jpg", "dog/train/3.jpg", "dog/val/4.jpg")
    assert read(tmp_path) == {
        "train": {"cat": {"1.jpg"}, "dog": {"3.jpg"}},
        "validation": {"cat": {"2.jpg"}, "dog": {"4.jpg"}},
    }
    assert [*read(tmp_path, layout="classes")] == ["train"]


def test_a_folder_that_holds_other_files_alone_is_no_class(tmp_path: Path):
    lay(tmp_path, "cat/1.jpg", "dog/2.jpg", "annotations/1.xml")
    assert [*read(tmp_path)["train"]] == ["cat", "dog"]


AMBIGUOUS = {
    "splits_without_classes": (["train/1.jpg", "test/2.jpg"], "no class folders", ["classes"]),
    "a_class_or_a_test_set": (["cat/1.jpg", "dog/2.jpg", "test/3.jpg"], "without labels", ["classes", "splits"]),
    "a_stranger_beside_splits": (
        ["train/cat/1.jpg", "train/dog/2.jpg", "extra/3.jpg"],
        "'extra' stands beside 'train'",
        ["classes", "splits"],
    ),
    "images_beside_train": (["train/1.jpg", "images/2.jpg"], "'images' names no class", ["classes"]),
    "splits_of_two_names": (
        ["roses_train/a/1.jpg", "roses_train/b/2.jpg", "tulips_test/a/3.jpg", "tulips_test/b/4.jpg"],
        "may be splits or classes",
        ["classes", "splits"],
    ),
    "folds": (
        ["fold1/a/1.jpg", "fold1/b/1.jpg", "fold2/a/1.jpg", "fold2/b/2.jpg"],
        "hold the same folders",
        ["classes"],
    ),
    "splits_in_some_classes": (
        ["cat/train/1.jpg", "cat/test/2.jpg", "dog/3.jpg"],
        "holds more than a folder for each split",
        ["classes"],
    ),
}


@pytest.mark.parametrize(("files", "reason", "layouts"), AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_what_is_ambiguous_is_refused_with_readings_that_each_can_be_chosen(
    tmp_path: Path, files: list[str], reason: str, layouts: list[str]
):
    lay(tmp_path, *files)
    with pytest.raises(ValueError, match=reason) as refused:
        read(tmp_path)
    offered = [line.split()[1].rstrip(":") for line in str(refused.value).splitlines() if "--data.layout" in line]
    assert offered == layouts
    readings = [read(tmp_path, layout=layout) for layout in layouts]
    assert all(one != other for place, one in enumerate(readings) for other in readings[:place])


def test_of_two_folders_that_seem_to_be_one_split_a_recipe_names_one(tmp_path: Path):
    lay(tmp_path, *(f"{split}/{name}/{split}.jpg" for split in ("train", "val", "eval") for name in ("cat", "dog")))
    with pytest.raises(ValueError, match=r"all seem to be the split 'validation'.*--data.validation_split"):
        read(tmp_path)
    splits = read(tmp_path, test_split="eval")
    assert {split: classes["cat"] for split, classes in splits.items()} == {
        "train": {"train.jpg"},
        "validation": {"val.jpg"},
        "test": {"eval.jpg"},
    }
    with pytest.raises(ValueError, match=r"--data.test_split: .*did you mean 'eval'"):
        read(tmp_path, test_split="evl")


def test_images_of_one_folder_below_a_class_are_a_group(tmp_path: Path):
    lay(tmp_path, "ill/anna/1.jpg", "ill/anna/deep/2.jpg", "well/ben/3.jpg", "well/4.jpg")
    table = scan_folder(tmp_path, settings=DataSettings(name=str(tmp_path), group_by="folder")).splits["train"]
    assert table.groups is not None
    assert table.groups.tolist() == ["anna", "anna", str(tmp_path / "well" / "4.jpg"), "ben"]
    assert table.select([3, 0]).groups.tolist() == ["ben", "anna"]  # pyright: ignore[reportOptionalMemberAccess]
    with pytest.raises(ValueError, match="no image of .* lies in a folder below its class"):
        scan_folder(lay(tmp_path / "flat", "a/1.jpg", "b/2.jpg"), settings=DataSettings(name="flat", group_by="folder"))


def test_a_stray_file_among_frames_makes_no_videos_of_them(tmp_path: Path):
    frames = [f"{name}/{clip}/{frame}.jpg" for name in ("wave", "nod") for clip in "ab" for frame in range(3)]
    lay(tmp_path, *frames, "wave/a/n_frames", "wave/b/Thumbs.db", "nod/c.mp4")
    data = scan_folder(tmp_path, modality=VIDEO)
    assert found(data) == {"train": {"nod": {"a", "b", "c.mp4"}, "wave": {"a", "b"}}}
    assert VIDEO.is_item(tmp_path / "wave" / "a")


def test_images_among_films_are_asked_about(tmp_path: Path):
    lay(tmp_path, *(f"wave/a/{frame}.jpg" for frame in range(3)), "wave/a/whole.mp4", "nod/b.mp4", "nod/c.mp4")
    with pytest.raises(ValueError, match=r"wave/a holds images and films.*--data.frames"):
        scan_folder(tmp_path, modality=VIDEO)


@pytest.mark.parametrize("stray", ["flow_1.jpg", "whole.mp4", "thumb.gif", "notes.txt", "raw"])
def test_a_pattern_says_which_files_are_the_frames_of_a_video(stray: str, tmp_path: Path):
    frames = [f"{name}/{clip}/img_{frame}.jpg" for name in ("wave", "nod") for clip in "ab" for frame in range(3)]
    lay(tmp_path, *frames, *(f"{name}/{clip}/{stray}" for name in ("wave", "nod") for clip in "ab"), "nod/c.mp4")
    lay(tmp_path, "nod/poster.jpg")
    settings = DataSettings(name=str(tmp_path), frames="img_*.jpg")
    data = scan_folder(tmp_path, modality=VIDEO, settings=settings)
    assert found(data) == {"train": {"nod": {"a", "b", "c.mp4"}, "wave": {"a", "b"}}}
    tables = open_data(settings, modality=VIDEO).splits.values()
    opened = [(*table.source_of(row), table.reading) for table in tables for row in range(len(table))]
    folders = [open_footage(*each) for each in opened if not each[1].endswith(".mp4")]
    assert [len(footage) for footage in folders] == [3] * 4
    assert {Path(item).name for item in items_under(tmp_path / "wave" / "a", VIDEO, "img_*.jpg")} == {"a"}
    with pytest.raises(ValueError, match="data.frames img_.* is of videos, and the model takes images"):
        open_data(settings)


def test_a_link_that_leads_back_is_not_followed(tmp_path: Path):
    lay(tmp_path, "cat/1.jpg", "dog/2.jpg")
    (tmp_path / "cat" / "all").symlink_to(tmp_path)
    assert read(tmp_path) == {"train": {"cat": {"1.jpg"}, "dog": {"2.jpg"}}}


SPELLINGS = {
    "train": [
        "train",
        "Training",
        "TRAIN",
        "trn",
        "train_set",
        "train-data",
        "train_images",
        "images_train",
        "train2017",
    ],
    "validation": ["val", "valid", "VALIDATION", "dev", "eval", "evaluation", "val_images", "valset"],
    "test": ["test", "testing", "TEST", "tst", "test_set", "TestImages", "images-test"],
}
CLASSES = ["cat", "dog", "café", "naïve", "train station", "test_tube", "bus", "7", "00", "été indien", "Übung", "b.c"]
JUNK = ["Thumbs.db", "desktop.ini", ".DS_Store", "readme.txt", "labels.txt", "__MACOSX/cat/._1.jpg", "index.html"]
JUNK += ["embeddings.parquet", "notes.csv", "package.json"]


def random_layout(root: Path, random: Random) -> dict[str, dict[str, set[str]]] | None:
    """-> what it means, or None where that is not clear"""
    files, numbers = [], iter(range(10**6))
    names = random.sample(CLASSES, random.randint(2, 5))
    inner = random.choice(["", "", "images/"])
    kind = random.choice(["classes", "splits", "splits", "dataset", "classes_of_splits", "called", "unclear"])
    meant: dict[str, dict[str, set[str]]] = {}

    def put(split: str, name: str, folder: str) -> None:
        for _ in range(random.randint(1, 3)):
            file = f"{next(numbers)}{random.choice(['.jpg', '.PNG', '.jpeg', '.webp'])}"
            written = unicodedata.normalize(random.choice(["NFC", "NFD"]), folder)
            files.append(f"{written}/{random.choice(['', '', 'deep/', 'p1/s2/'])}{file}")
            meant.setdefault(split, {}).setdefault(unicodedata.normalize("NFC", name), set()).add(file)

    splits = ["train", *random.sample(["validation", "test"], random.randint(0, 2))]
    called = {split: random.choice(SPELLINGS[split]) for split in splits}
    if kind == "dataset":
        called = {split: f"my_flowers_{random.choice(SPELLINGS[split][:3]).lower()}" for split in splits}
    match kind:
        case "classes":
            for name in names:
                put("train", name, name)
        case "splits" | "dataset":
            for split in splits:
                for name in names:
                    put(split, name, f"{called[split]}/{inner}{name}")
            if "test" not in splits and kind == "splits":
                folder = random.choice(["test", "Testing/images", "test_images", "test/unknown"])
                files.extend(f"{folder}/{number}.jpg" for number in range(1000, 1003))
                meant["unlabeled"] = {"": {f"{number}.jpg" for number in range(1000, 1003)}}
        case "classes_of_splits":
            for split in ["train", "test"]:
                for name in names:
                    put(split, name, f"{name}/{random.choice(SPELLINGS[split][:3])}")
        case "called":
            for name in ["train", "bus", "car", "ship"]:
                file = f"{next(numbers)}.jpg"
                files.append(f"{name}/{file}")
                meant.setdefault("train", {})[name] = {file}
        case "unclear":
            stranger = random.choice(["misc", "holdout", "old"])
            files += random.choice(
                [
                    ["train/1.jpg", "test/2.jpg", "val/3.jpg"],
                    ["cat/1.jpg", "dog/2.jpg", f"{random.choice(SPELLINGS['test'])}/3.jpg"],
                    ["train/cat/1.jpg", "train/dog/2.jpg", f"{stranger}/3.jpg"],
                    ["train/cat/1.jpg", "train/dog/2.jpg", "test/cat/4.jpg", f"{stranger}/cat/3.jpg"],
                ]
            )
    wrapping = random.choice(["", "", "photos/", "photos/dataset/"])
    folders = sorted({name.rpartition("/")[0] for name in files})
    files += [f"{random.choice([*folders, '.'])}/{junk}" for junk in random.sample(JUNK, random.randint(0, 4))]
    lay(root, *(f"{wrapping}{name}" for name in files))
    return None if kind == "unclear" else meant


@pytest.mark.parametrize("seed", range(150))
def test_a_random_layout_is_read_right_or_refused_where_it_is_unclear(tmp_path: Path, seed: int):
    meant = random_layout(tmp_path, Random(seed))
    if meant is None:
        with pytest.raises(ValueError, match=r"(?s)is not clear: .*--data.layout"):
            read(tmp_path)
    else:
        assert read(tmp_path) == meant


def test_a_pattern_that_fits_no_frame_is_named_and_the_folder_is_not_called_empty(tmp_path: Path):
    lay(tmp_path, "wave/a/1.jpg", "nod/b/1.jpg")
    with pytest.raises(ValueError, match=r"data\.frames: no file under .* is called as 'img_\*\.jpg' says"):
        open_data(DataSettings(name=str(tmp_path), frames="img_*.jpg"), modality=VIDEO)
