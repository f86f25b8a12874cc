import gzip
import json
import os
import stat
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from made_archives import save_tar, save_zip
from made_images import noise, png

from vit_hf.data.settings import DataSettings
from vit_hf.data.sources import archives
from vit_hf.data.sources.open_data import open_source
from vit_hf.data.sources.tables import ImageData


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


FILES = {
    f"photos/{split}/{name}/{n}.png": png(noise(n)) for split in ("train", "val") for name in "ab" for n in range(2)
}


def opened(name: object, **settings: Any) -> ImageData:
    return open_source(DataSettings(name=str(name), **settings))


def counts(data: ImageData) -> dict[str, list[int]]:
    return {split: table.class_counts(len(data.label_names)).tolist() for split, table in data.splits.items()}


@pytest.mark.parametrize("ending", ["zip", "tar", "tar.gz", "TGZ"])
def test_an_archive_is_the_folder_that_is_in_it(tmp_path: Path, ending: str):
    path = tmp_path / f"photos.{ending}"
    if ending == "zip":
        save_zip(path, {**FILES, "__MACOSX/photos/._x.png": b"x"})
    else:
        save_tar(path, FILES, "w" if ending == "tar" else "w:gz")
    data = opened(path)
    assert counts(data) == {"train": [2, 2], "validation": [2, 2]}
    assert data.splits["train"].open(0).size == (8, 8)
    assert data.understood[0].startswith(str(path))


def test_an_archive_is_unpacked_once_and_again_where_it_changed(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = save_zip(tmp_path / "photos.zip", FILES)
    opened(path)
    opened(path)
    assert capsys.readouterr().out.count("Unpacking") == 1
    save_zip(path, FILES | {"photos/train/a/9.png": png(noise(9))})
    assert counts(opened(path))["train"] == [3, 2]


@pytest.mark.parametrize("name", ["../out.png", "/tmp/out.png", "a/../../out.png", "C:\\out.png", "..\\out.png"])
def test_a_path_that_leaves_the_folder_is_refused(tmp_path: Path, name: str):
    for path in (save_zip(tmp_path / "a.zip", {name: b"x"}), save_tar(tmp_path / "a.tar", {name: b"x"})):
        with pytest.raises(ValueError, match="outside of its folder"):
            opened(path)
    assert not [*tmp_path.rglob("out.png")]
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_dir() and "a." in path.name]


def test_links_are_not_followed(tmp_path: Path):
    path = save_tar(tmp_path / "a.tar", FILES)
    with tarfile.open(path, "a") as archive:
        link = tarfile.TarInfo("photos/train/a/link.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    assert counts(opened(path))["train"] == [2, 2]
    about = zipfile.ZipInfo("photos/train/a/link.png")
    about.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(save_zip(tmp_path / "a.zip", FILES), "a") as archive:
        archive.writestr(about, "/etc/passwd")
    assert counts(opened(tmp_path / "a.zip"))["train"] == [2, 2]


def test_a_bomb_stops_at_a_limit_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(archives, "ROOM", 10_000)
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/1.png", b"\0" * 10_000_000)
    with pytest.raises(ValueError, match="20 times its size"):
        opened(path)
    assert not [file for file in (tmp_path / "cache").rglob("*.png") if os.path.getsize(file)]  # noqa: PTH202


def test_a_broken_archive_is_named(tmp_path: Path):
    whole = save_tar(tmp_path / "whole.tar.gz", FILES, "w:gz").read_bytes()
    for name, data in {"cut.tar.gz": whole[:-200], "no.zip": b"PK nothing", "empty.tar": b""}.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ValueError, match=f"{name} cannot be unpacked"):
            opened(tmp_path / name)


def shard(path: Path, first: int, *, label: str = "cls", count: int = 4) -> Path:
    """Samples in a tar file, compressed where its name says so."""
    files = {}
    for number in range(first, first + count):
        files[f"{number:06d}.png"] = png(noise(number))
        name = ["zebra", "ant"][number % 2]
        said = {"cls": str(number % 2), "txt": name, "json": json.dumps({"label": name, "width": 8 + number % 3})}
        files[f"{number:06d}.{label}"] = said[label].encode()
    return save_tar(path, files, "w:gz" if path.name.endswith("gz") else "w")


@pytest.mark.parametrize(
    ("label", "names"), [("cls", ["0", "1"]), ("txt", ["ant", "zebra"]), ("json", ["ant", "zebra"])]
)
def test_a_webdataset_is_read_where_it_lies(tmp_path: Path, label: str, names: list[str]):
    data = opened(shard(tmp_path / "shard-000.tar", 0, label=label))
    assert data.label_names == names
    assert counts(data) == {"train": [2, 2]}
    table = data.splits["train"]
    assert table.name_of(3) == "shard-000.tar/000003"
    assert (table.open(3).pixels(3) == noise(3)).all()
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("ending", ["tar", "tar.gz", "tgz"])
def test_shards_are_given_by_a_folder_or_by_a_pattern(tmp_path: Path, ending: str):
    root = tmp_path / "shards"
    root.mkdir()
    for number in range(3):
        shard(root / f"train-{number:06d}.{ending}", 4 * number)
    assert counts(opened(f"{root}/train-{{000000..000002}}.{ending}")) == {"train": [6, 6]}
    assert counts(opened(f"{root}/train-{{000001..000001}}.{ending}")) == {"train": [2, 2]}
    shard(root / f"val-000000.{ending}", 100)
    assert counts(opened(root)) == {"train": [6, 6], "validation": [2, 2]}
    with pytest.raises(ValueError, match=rf"train-000003.{ending} is not there"):
        opened(f"{root}/train-{{000000..000003}}.{ending}")


def test_a_compressed_shard_holds_what_the_same_without_compression_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    plain = opened(shard(tmp_path / "shard-0.tar", 0, label="json")).splits["train"]
    packed = shard(tmp_path / "shard-0.tar.gz", 0, label="json")
    table = opened(packed).splits["train"]
    assert [table.name_of(row) for row in range(4)] == [plain.name_of(row) for row in range(4)]
    assert table.labels.tolist() == plain.labels.tolist()
    assert all((table.open(row).pixels(3) == noise(row)).all() for row in (3, 0, 2))
    (written,) = (path for path in (tmp_path / "cache").rglob("*") if path.is_file() and path.suffix != ".lock")
    assert written.name == "shard-0.tar"
    about = written.stat()
    shard(packed, 4, label="json")
    assert (opened(packed).splits["train"].open(0).pixels(3) == noise(4)).all()
    assert written.stat() == about
    assert "Unpacking" not in capsys.readouterr().out


def test_a_compressed_shard_keeps_the_limits_of_unpacking_and_a_broken_one_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = shard(tmp_path / "shard-0.tar.gz", 0, count=40)
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    with pytest.raises(ValueError, match="shard-0.tar.gz cannot be unpacked"):
        opened(path)
    path.write_bytes(whole)
    monkeypatch.setattr(archives, "ROOM", 0)
    monkeypatch.setattr(archives, "GROWTH", 1)
    with pytest.raises(ValueError, match="shard-0.tar.gz grows beyond"):
        opened(path)


def test_a_compressed_tar_of_class_folders_is_none_of_samples(tmp_path: Path):
    assert counts(opened(save_tar(tmp_path / "photos.tar.gz", FILES, "w:gz"), layout="splits"))["train"] == [2, 2]
    with pytest.raises(ValueError, match="layout webdataset: .* is no tar file"):
        opened(save_zip(tmp_path / "photos.zip", FILES), layout="webdataset")


@pytest.mark.parametrize("ending", ["tar", "tar.gz", "tgz"])
def test_a_webdataset_is_streamed_and_goes_on_from_any_sample(tmp_path: Path, ending: str):
    for number in range(2):
        shard(tmp_path / f"train-{number}.{ending}", 4 * number)
    shard(tmp_path / f"test-0.{ending}", 100)
    data = opened(tmp_path, streaming=True)
    assert not [*(tmp_path / "cache").rglob("train-*.tar")]
    assert counts(data) == {"test": [2, 2]}
    assert data.stream is not None
    part: Any = data.stream.shards.shard(num_shards=2, index=1)
    records = iter(part)
    first = [next(records), next(records)]
    state = part.state_dict()
    assert [data.stream.label_of(record) for record in first] == [0, 1]
    assert (data.stream.open(first[1]).pixels(3) == noise(5)).all()
    again: Any = data.stream.shards.shard(num_shards=2, index=1)
    again.load_state_dict(state)
    assert [stem for stem, _, _ in again] == [stem for stem, _, _ in records] == ["000006", "000007"]


def test_a_compressed_stream_of_several_parts_is_read_to_its_end_and_a_broken_one_named(tmp_path: Path):
    tar = shard(tmp_path / "whole.tar", 0, count=40).read_bytes()
    parts = [gzip.compress(tar[start : start + 5000]) for start in range(0, len(tar), 5000)]
    (tmp_path / "whole.tar").unlink()
    path = tmp_path / "train-0.tar.gz"
    path.write_bytes(b"".join(parts))
    shard(tmp_path / "test-0.tar.gz", 100)
    stream = opened(tmp_path, streaming=True).stream
    assert stream is not None
    assert len(list(stream.shards.shard(1, 0))) == 40
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(ValueError, match="train-0.tar.gz cannot be read"):
        list(stream.shards.shard(1, 0))
