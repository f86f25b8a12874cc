"""What was found out late, or not at all: files in place of folders, answers that are none, a network's own page."""

import shlex
import shutil
from argparse import Namespace
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import torch
from huggingface_hub import constants
from made_images import class_folders, noise
from safetensors.torch import load_file, save_file
from tiny import tiny_config

from vit_hf.commands.convert import next_commands
from vit_hf.commands.predict import main as predict_command
from vit_hf.errors import UserError
from vit_hf.hub.download import fetch
from vit_hf.runs.begin import begin
from vit_hf.runs.evaluate import refuse_broken_answers
from vit_hf.runs.setup import prepare
from vit_hf.training.trainer.callbacks import line_of


@pytest.mark.parametrize("inside", [".", "deeper/still"])
def test_a_file_where_the_output_should_be_is_said_before_anything_is_read(tmp_path: Path, monkeypatch, inside: str):
    (tmp_path / "outputs").write_text("a file")
    recipe = begin("digits", None, {"training.output_dir": str(tmp_path / "outputs" / inside)})
    monkeypatch.setattr("vit_hf.runs.setup.open_data", lambda *_, **__: pytest.fail("read data"))
    with pytest.raises(UserError, match=r"training.output_dir=.*outputs.* cannot be a folder: .*outputs is a file"):
        prepare(recipe)


@pytest.mark.parametrize("recipe", ["photos", "simmim_pretrain"])
def test_data_of_which_nothing_measures_the_model_is_said_before_training(recipe: str, tmp_path: Path):
    photos = class_folders(tmp_path / "photos", {"cat": 4, "dog": 4})
    fields = {"data.name": str(photos), "training.output_dir": str(tmp_path / "out")}
    # Compiling would be said to later tests too, by the environment.
    fields |= {"training.bf16": False, "training.torch_compile": False}
    nothing = {"data.test_fraction": 0, "data.validation_fraction": 0}
    with pytest.raises(UserError, match="data.test_fraction and data.validation_fraction set none of it aside"):
        prepare(begin(recipe, None, fields | nothing))
    for place, copy in enumerate(sorted(photos.glob("*/*.png"))):
        noise(place // 4).save(copy)
    with pytest.raises(UserError, match="Nothing would measure the model: .*no class has two that differ"):
        prepare(begin(recipe, None, fields))


def test_an_answer_that_is_no_number_is_no_answer(saved: Path, tmp_path: Path, capsys):
    folder = shutil.copytree(saved, tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    weights["classifier.weight"][0, 0] = float("nan")
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    noise(1).save(tmp_path / "a.png")
    assert predict_command([str(folder), str(tmp_path / "a.png")]) == 2
    said = capsys.readouterr()
    assert "nan" not in said.out
    assert "a.png: its weights are damaged" in said.err
    refuse_broken_answers(torch.zeros(3, 2))
    with pytest.raises(UserError, match="NaN or infinite for 2 of 3, the first of them number 1"):
        refuse_broken_answers(torch.tensor([[0.0, 1.0], [torch.inf, 0.0], [0.0, torch.nan]]))


@pytest.mark.parametrize("name", ["with blanks", "it's", "a;b", "$HOME"])
def test_a_command_that_is_suggested_can_be_typed(name: str):
    said = next_commands(Namespace(dest=Path(name), to="vit_hf"), tiny_config())
    lines = [shlex.split(line) for line in said.splitlines()[2:]]
    assert len(lines) == 3
    assert all(name in line for line in lines)
    assert f"{name}-transformers" in lines[2] or f"{name}-timm" in lines[2]


def test_a_line_of_the_log_has_its_keys_in_one_order_before_and_after_a_resume():
    before = {"loss": 1.0, "grad_norm": 2.0, "eval_runtime": 3.0, "epoch": 0.5, "step": 4, "eval_memory": 1}
    after = dict(sorted(before.items()))
    assert line_of(before) == line_of(after)
    assert line_of(before).startswith('{"step": 4, "epoch"')


class Portal(BaseHTTPRequestHandler):
    """Whatever is asked for, a page to log in at."""

    def do_GET(self) -> None:
        page = b"<html><title>Log in</title>Welcome to the hotel</html>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(page)

    do_HEAD = do_POST = do_GET

    def log_message(self, *_: object) -> None:
        """Quietly."""


@pytest.fixture
def portal(hub, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """In place of the Hub, whose client `hub` has set up already."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Portal)
    Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}")
    yield address
    server.shutdown()
    server.server_close()


def test_the_page_of_a_network_that_wants_a_login_is_told_as_such(portal: str):
    with pytest.raises(UserError, match="the page of a network or a proxy that wants a login"):
        fetch("you/elsewhere", ["*.json"])
