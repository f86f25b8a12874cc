"""The process around the application: its port, its end, what it needs, and what a container is built of."""

import http.client
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tiny import tiny

from vit_hf import VisionTransformerModel
from vit_hf.commands.serve import OPTIONS, main
from vit_hf.errors import UserError
from vit_hf.serving import server
from vit_hf.serving.app import Serving
from vit_hf.serving.server import address_of, bound, write_container

ROOT = Path(__file__).parents[2]
# A server without a model, whose answer takes half a second.
SLOW = """\
import asyncio
from vit_hf.serving.server import address_of, bound, listen

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        print("closed", flush=True)
        await send({"type": "lifespan.shutdown.complete"})
        return
    print("asked", flush=True)
    await asyncio.sleep(0.5)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
    await send({"type": "http.response.body", "body": b"done"})

place = bound("127.0.0.1", 0)
listen(app, place, timeout=20, greeting=address_of(place))
"""


def test_sigterm_lets_what_is_under_way_be_answered_and_ends_cleanly(tmp_path: Path):
    program = tmp_path / "vit-hf"  # as the command is called, which does not import torch before it has to
    program.write_text(SLOW)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    process = subprocess.Popen([sys.executable, program], stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    host, port = process.stdout.readline().strip().removeprefix("http://").split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=20)
    connection.request("GET", "/")
    assert process.stdout.readline() == "asked\n"
    process.send_signal(signal.SIGTERM)
    assert connection.getresponse().read() == b"done"
    connection.close()
    assert process.communicate(timeout=20)[0] == "closed\n"
    assert process.returncode == 0


def test_a_port_that_is_taken_is_told_before_a_model_is_loaded(tmp_path: Path, capsys):
    with bound("127.0.0.1", 0) as place:
        place.listen()
        port = place.getsockname()[1]
        assert main([str(tmp_path / "no model"), "--pytorch", "--port", str(port)]) == 2
    error = capsys.readouterr().err
    assert f"Port {port} of 127.0.0.1 cannot be had" in error
    assert "take another with --port" in error


@pytest.mark.parametrize(("host", "port"), [("no.such.host.invalid", 1), ("127.0.0.1", 70000), ("192.0.2.1", 0)])
def test_an_address_that_cannot_be_is_named(host: str, port: int):
    with pytest.raises(UserError, match=f"{host}|{port}"):
        bound(host, port)


def test_addresses_are_written_as_browsers_want_them():
    with bound("127.0.0.1", 0) as place:
        assert address_of(place) == f"http://127.0.0.1:{place.getsockname()[1]}"


def test_what_is_not_installed_is_named_with_the_way_to_it(monkeypatch, capsys):
    monkeypatch.setitem(server.SERVERS_NEED, "no_such_server", "no-such-server")
    assert main(["model"]) == 2
    assert "Serving needs no-such-server; install it with: pip install 'vit_hf[serve]'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--max-batch", "0"], "max_batch: Input should be greater than or equal to 1 (given: 0)"),
        (["--max-bytes", "many"], "max_bytes: could not parse value and unit from byte string (given: 'many')"),
        (["--timeout", "-1"], "timeout: Input should be greater than 0"),
    ],
)
def test_limits_that_cannot_be_are_refused(words: list[str], said: str, capsys):
    assert main(["model", "--pytorch", *words]) == 2
    assert f"vit-hf serve: {said}" in capsys.readouterr().err


def test_every_limit_is_an_option_of_the_command():
    assert set(OPTIONS) == set(Serving.model_fields)


def test_a_model_without_a_head_is_not_served(tmp_path: Path, capsys):
    tiny(VisionTransformerModel).save_pretrained(tmp_path / "trunk")
    assert main([str(tmp_path / "trunk"), "--pytorch", "--port", "0"]) == 2
    assert "head" in capsys.readouterr().err


def test_a_container_is_built_of_the_exported_folder(tmp_path: Path):
    model = tmp_path / "exported"
    model.mkdir()
    (model / "export.json").write_text("{}")
    folder = write_container(str(model), tmp_path / "container")
    assert (folder / "model" / "export.json").is_file()
    lines = (folder / "Dockerfile").read_text().splitlines()
    copied = [line.split()[1] for line in lines if line.startswith("COPY")]
    assert [(folder / name).is_dir() for name in copied] == [True, True]
    assert any("/health" in line for line in lines)
    assert lines.index("USER server") < next(place for place, line in enumerate(lines) if line.startswith("ENTRYPOINT"))
    with pytest.raises(UserError, match="is not empty"):
        write_container(str(model), folder)
