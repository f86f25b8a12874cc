import io
import tarfile
from pathlib import Path

import pytest

from vit_hf.demo import npm
from vit_hf.demo.npm import NpmPackage, archive_of, integrity_of, take_out

UNKNOWN = NpmPackage("some-package", "1.2.3", "sha512-" + "A" * 86 + "==")


def made_archive(path: Path, **files: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def stand_in_for_npm(folder: Path, script: str) -> str:
    """A program called npm."""
    program = folder / "npm"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return str(program)


def test_the_integrity_is_that_of_npm(tmp_path: Path):
    # echo -n abc | openssl dgst -sha512 -binary | base64
    (tmp_path / "abc").write_bytes(b"abc")
    known = "3a81oZNherrMQXNJriBBMRLm+k6JqX6iCp7u5ktV05ohkpkqJ0/BqDa6PCOj/uu9RU1EI2Q86A4qmslPpUyknw=="
    assert integrity_of(tmp_path / "abc") == f"sha512-{known}"


def test_without_npm_it_says_what_brings_it(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(npm.shutil, "which", lambda name: None)
    with pytest.raises(ValueError, match=r"install Node.js .* or put some-package-1.2.3.tgz into"):
        archive_of(UNKNOWN, tmp_path)


def test_what_is_there_is_not_fetched_again(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(npm.shutil, "which", lambda name: None)
    kept = made_archive(tmp_path / UNKNOWN.archive, file=b"1")
    assert archive_of(UNKNOWN._replace(integrity=integrity_of(kept)), tmp_path) == kept


def test_another_archive_is_not_used(tmp_path: Path, monkeypatch):
    program = stand_in_for_npm(tmp_path, 'echo other > "$6/some-package-1.2.3.tgz"')
    monkeypatch.setattr(npm.shutil, "which", lambda name: program)
    with pytest.raises(ValueError, match="is not some-package 1.2.3 as it is known here .* and is not used"):
        archive_of(UNKNOWN, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_what_npm_says_is_told(tmp_path: Path, monkeypatch):
    program = stand_in_for_npm(tmp_path, "echo 'npm error code ENOTFOUND' >&2; exit 1")
    monkeypatch.setattr(npm.shutil, "which", lambda name: program)
    with pytest.raises(ValueError, match=r"npm did not fetch some-package 1.2.3 \(npm error code ENOTFOUND\)"):
        archive_of(UNKNOWN, tmp_path / "cache")


def test_files_are_taken_out_under_other_names(tmp_path: Path):
    archive = made_archive(tmp_path / "a.tgz", one=b"1", two=b"2")
    take_out(archive, {"first": "package/one"}, tmp_path / "out")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == {"first": b"1"}
