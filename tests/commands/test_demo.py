"""What `vit-hf demo` refuses, each in a sentence and before it waits for anything; tests/demo has what it does."""

import socket
from pathlib import Path
from typing import Any

import pytest
from tiny import tiny, tiny_timesformer

from vit_hf import TimeSformerForVideoClassification, VisionTransformerModel
from vit_hf.commands.demo import main
from vit_hf.modality import modality_of


def save(model: Any, folder: Path) -> str:
    model.save_pretrained(folder)
    modality_of(model.config).make_processor(model.config).save_pretrained(folder)
    return str(folder)


@pytest.fixture(autouse=True)
def _runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if npm had fetched it."""
    monkeypatch.setattr("vit_hf.demo.static.archive_of", lambda package: Path())


def complaint(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(words) == 2
    return capsys.readouterr().err


def test_one_place_at_a_time(capsys):
    said = complaint(capsys, "model", "--static", "page", "--space", "you/demo")
    assert "--static and --space lead to different places" in said


def test_a_port_that_is_none_or_in_use(capsys):
    assert "--port 99999 is no port" in complaint(capsys, "model", "--port", "99999")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert f"Port {port} of 127.0.0.1 cannot be had" in complaint(capsys, "model", "--port", port)


def test_a_model_without_a_head(capsys, tmp_path: Path):
    model = save(tiny(VisionTransformerModel), tmp_path / "model")
    assert "has no classifier (VisionTransformerModel)" in complaint(capsys, model)
    said = complaint(capsys, model, "--static", str(tmp_path / "page"))
    assert "has no classifier (VisionTransformerModel)" in said


def test_a_page_of_videos(capsys, tmp_path: Path):
    model = save(tiny_timesformer(TimeSformerForVideoClassification), tmp_path / "model")
    said = complaint(capsys, model, "--static", str(tmp_path / "page"))
    assert "takes videos, and a page that runs in the browser alone takes images" in said
    assert not (tmp_path / "page").exists()


def test_a_folder_with_something_in_it(capsys, tmp_path: Path):
    (tmp_path / "mine.txt").write_text("mine")
    assert "is not empty" in complaint(capsys, "model", "--static", str(tmp_path))


def test_a_space_without_a_token_or_with_a_name_that_is_none(capsys, monkeypatch):
    monkeypatch.delenv("HF_TOKEN", raising=False)
    assert "is no id of a repository" in complaint(capsys, "model", "--space", "you/demo/more")
    assert "no token for the Hub" in complaint(capsys, "model", "--space", "you/demo")
