"""What a server answers, good requests and bad ones, over a socket."""

import asyncio
import gc
import http.client
import io
import shutil
import socket
import struct
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import torch
from fastapi.responses import JSONResponse
from made_images import noise, png
from PIL import Image
from running_apps import running
from tiny import tiny_timesformer

from vit_hf import TimeSformerForVideoClassification
from vit_hf.data.decode.processors import make_video_processor
from vit_hf.errors import UserError
from vit_hf.exporting.exported import PictureProcessor, Pictures
from vit_hf.runs.predict import predict
from vit_hf.serving import batching, bodies
from vit_hf.serving.app import Serving, make_app
from vit_hf.serving.batching import ServedModel

PNG = {"Content-Type": "image/png"}


def ask(client: httpx.Client, data: bytes, kind: str = "image/png") -> httpx.Response:
    return client.post("/predict", content=data, headers={"Content-Type": kind})


def probabilities(answer: Any) -> list[tuple[str, Any]]:
    return [(label, pytest.approx(share, abs=1)) for label, share in said(answer)]


@pytest.fixture(scope="module")
def expected(saved: Path, pictures: list[Path]) -> dict[str, list[tuple[str, Any]]]:
    """By `vit-hf predict`, of each picture by its name."""
    return {Path(one["image"]).name: probabilities(one) for one in predict(str(saved), pictures).results}


def said(answer: Any) -> list[tuple[str, int]]:
    """Probabilities in millionths, as whole as they are written: a last digit more is one, and no hair above it."""
    return [(one["label"], round(1e6 * one["probability"])) for one in answer["predictions"]]


def test_a_body_is_answered_as_predict_answers_the_file(client: httpx.Client, pictures, expected):
    for picture in pictures[:5]:
        assert said(ask(client, picture.read_bytes()).json()) == expected[picture.name]


def test_files_of_a_form_are_answered_in_their_order(client: httpx.Client, pictures, expected):
    files = [("anything", (picture.name, picture.read_bytes(), "image/png")) for picture in pictures[:3]]
    answers = client.post("/predict", files=files).json()
    assert [one["image"] for one in answers] == [picture.name for picture in pictures[:3]]
    assert [said(one) for one in answers] == [expected[picture.name] for picture in pictures[:3]]


def test_twenty_clients_at_once_get_what_each_gets_alone(client: httpx.Client, pictures, expected):
    """And the broken images among theirs harm nobody."""
    broken = png(noise(0, 32))[:-30]
    with ThreadPoolExecutor(40) as pool:
        good = [pool.submit(ask, client, picture.read_bytes()) for picture in pictures]
        bad = [pool.submit(ask, client, broken) for _ in pictures]
        assert {one.result().status_code for one in bad} == {422}
        answers = [one.result().json() for one in good]
    assert [said(one) for one in answers] == [expected[picture.name] for picture in pictures]


def bomb(width: int, height: int) -> bytes:
    """A PNG of as many black pixels, in few bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((width // 8 + 1) * min(height, 100)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


BAD = {
    "empty": (b"", "image/png", 422, "it is empty"),
    "no image": (b"no image at all", "image/jpeg", 422, "is not an image"),
    "cut off": (png(noise(0, 64))[:-99], "image/png", 422, "truncated"),
    "a JPEG's head": (b"\xff\xd8\xff\xe0" + bytes(99), "image/jpeg", 422, "the image: "),
    "a bomb": (bomb(50_000, 50_000), "image/png", 422, "2,500,000,000 pixels, and no more than 100,000"),
    "too many pixels": (bomb(320, 320), "image/png", 422, "102,400 pixels"),
    "too large": (bytes(600_000), "image/png", 413, "600,000 bytes, and 500,000 are taken"),
    "JSON": (b"{broken", "application/json", 415, "'application/json'"),
    "no type of curl's": (b"x", "application/x-www-form-urlencoded", 415, "-H 'Content-Type: image/...'"),
    "a video": (b"x", "video/mp4", 415, "'video/mp4'"),
    "a script": (b"%!PS\nquit", "image/eps", 415, "is text"),
    "a list of addresses": (b" <MPD profile='x'>", "image/png", 415, "is text"),
    "no boundary": (b"x", "multipart/form-data", 400, "boundary"),
    "no form": (b"x", "multipart/form-data; boundary=y", 400, "The form cannot be read"),
    "an empty form": (b"--y--\r\n", "multipart/form-data; boundary=y", 422, "no file in the form"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_body_gets_a_sentence(client: httpx.Client, name: str):
    body, kind, status, words = BAD[name]
    answer = ask(client, body, kind)
    assert answer.status_code == status, answer.text
    assert words in answer.json()["detail"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # starlette leaves such a file open
def test_a_form_that_breaks_off_holds_no_file(client: httpx.Client):
    half = b"--y\r\nContent-Disposition: form-data; name=a; filename=b\r\n\r\nx"
    assert ask(client, half, "multipart/form-data; boundary=y").status_code == 422
    gc.collect()


@pytest.mark.parametrize(
    ("files", "data", "status", "words"),
    [
        ([("a", ("a.png", png(noise(0)), "image/png"))] * 4, {}, 413, "4 files, and 3 are taken"),
        ([("a", ("a.txt", b"text", "text/plain"))], {}, 415, "'a.txt' is of the type 'text/plain'"),
        ([("a", ("bad.png", b"\0\0", "image/png"))], {}, 422, "bad.png: it is not an image"),
        ([("a", ("a.png", png(noise(0)), "image/png"))], {"top": "3"}, 422, "field 'top' is text"),
    ],
)
def test_a_bad_form_gets_a_sentence(client: httpx.Client, files, data, status, words):
    answer = client.post("/predict", files=files, data=data)
    assert (answer.status_code, words in answer.json()["detail"]) == (status, True), answer.text


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/predict", 405), ("POST", "/x", 404), ("PUT", "/health", 405)]
)
def test_wrong_methods_and_paths_are_told_of_the_right_ones(client: httpx.Client, method: str, path: str, status: int):
    answer = client.request(method, path)
    assert answer.status_code == status
    assert f"{method} {path}" in answer.json()["detail"]
    assert "POST /predict" in answer.json()["detail"]


def opened(address: str) -> socket.socket:
    host, port = address.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=20)


def answer_on(connection: socket.socket) -> http.client.HTTPResponse:
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    return answer


HEAD = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\n"


def test_a_body_without_an_end_is_refused_before_it_has_come(address: str, monkeypatch):
    """What its sender goes on to send is thrown away for a while, and then the connection ends."""
    monkeypatch.setattr(bodies, "LINGER", 0.1)
    with opened(address) as connection:
        connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        for _ in range(6):
            connection.sendall(b"186a0\r\n" + bytes(100_000) + b"\r\n")
        answer = answer_on(connection)
        assert (answer.status, answer.getheader("connection")) == (413, "close")
        assert b"more than 500,000" in answer.read()
        assert connection.recv(1) == b""


def test_a_body_that_says_it_is_too_large_is_not_waited_for(address: str):
    with opened(address) as connection:
        connection.sendall(HEAD + b"Content-Length: 999999999999\r\n\r\n")
        assert answer_on(connection).status == 413


def test_a_head_without_an_end_gets_a_sentence_and_no_reset(address: str, monkeypatch):
    """Much more than the system takes off a sender at once."""
    monkeypatch.setattr(bodies, "LINGER", 0.3)
    with opened(address) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nCookie: " + b"a" * 5_000_000)
        answer = answer_on(connection)
        assert (answer.status, answer.getheader("connection")) == (431, "close")
        assert b"more than 65,536 bytes; send a shorter address or fewer headers" in answer.read()
        assert connection.recv(1) == b""


def test_a_slow_body_is_given_up(start: Callable[..., str]):
    with opened(start(timeout=0.2)) as connection:
        begun = time.monotonic()
        connection.sendall(HEAD + b"Content-Length: 1000\r\n\r\n" + bytes(10))
        answer = answer_on(connection)
        assert (answer.status, time.monotonic() - begun >= 0.2) == (408, True)
        assert b"within 0.2 seconds" in answer.read()


def test_more_requests_than_may_wait_are_told_to_come_again(start: Callable[..., str], pictures):
    address = start(max_waiting=1)
    picture = pictures[0].read_bytes()
    with opened(address) as connection, httpx.Client(base_url=address) as client:
        connection.sendall(HEAD + f"Content-Length: {len(picture)}\r\n\r\n".encode() + picture[:10])
        while "vit_hf_requests_under_way 1.0" not in client.get("/metrics").text:
            time.sleep(0.01)
        refused = ask(client, picture)
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
        connection.sendall(picture[10:])
        assert answer_on(connection).status == 200
        assert ask(client, picture).status_code == 200


def test_who_waits_too_long_for_the_model_is_told_so(served: ServedModel, start: Callable[..., str], monkeypatch):
    answer = served.answer
    monkeypatch.setattr(served, "answer", lambda items: (time.sleep(0.4), answer(items))[1])
    with httpx.Client(base_url=start(timeout=0.2)) as client:
        late = ask(client, png(noise(0)))
        assert late.status_code == 503
        assert "no answer within 0.2 seconds" in late.json()["detail"]


def test_who_leaves_in_the_middle_of_a_body_harms_nobody(address: str, client: httpx.Client, caplog):
    with opened(address) as connection:
        connection.sendall(HEAD + b"Content-Length: 1000\r\n\r\n" + bytes(10))
    assert ask(client, png(noise(0))).status_code == 200
    assert "Exception in ASGI application" not in caplog.text


def test_a_server_is_ready_only_while_it_batches(served: ServedModel, client: httpx.Client):
    assert client.get("/health").json() == {
        "status": "ready",
        "model": "first",
        "takes": "image",
        "labels": [f"LABEL_{number}" for number in range(5)],
    }
    app = make_app(served, Serving())

    async def before() -> int:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
            return (await client.get("/health")).status_code

    assert asyncio.run(before()) == 503


def figures(client: httpx.Client) -> dict[str, float]:
    lines = [line.rpartition(" ") for line in client.get("/metrics").text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}


def test_metrics_count_answers_and_batches(start: Callable[..., str], pictures):
    with httpx.Client(base_url=start(batch_wait_ms=2000, max_batch=3)) as client:
        files = [("f", (picture.name, picture.read_bytes(), "image/png")) for picture in pictures[:3]]
        assert client.post("/predict", files=files).status_code == 200
        assert ask(client, b"").status_code == 422
        assert client.get("/nowhere").status_code == 404
        found = figures(client)
    assert found['vit_hf_requests_total{path="/predict",status="200"}'] == 1
    assert found['vit_hf_requests_total{path="/predict",status="422"}'] == 1
    assert found['vit_hf_requests_total{path="other",status="404"}'] == 1
    assert (found["vit_hf_batch_size_count"], found["vit_hf_batch_size_sum"]) == (1, 3)
    assert found["vit_hf_requests_under_way"] == found["vit_hf_queued"] == 0
    assert found["process_resident_memory_bytes"] > 1e7


def test_the_schema_says_what_goes_in_and_out(client: httpx.Client, pictures):
    schema = client.get("/openapi.json").json()
    predicting = schema["paths"]["/predict"]["post"]
    assert set(predicting["requestBody"]["content"]) == {"image/*", "application/octet-stream", "multipart/form-data"}
    assert set(predicting["responses"]) == {"200", "400", "408", "413", "415", "422", "431", "503"}
    parts = schema["components"]["schemas"]
    answer = ask(client, pictures[0].read_bytes()).json()
    assert set(parts["Answer"]["required"]) == set(answer)
    assert set(parts["Prediction"]["required"]) == set(answer["predictions"][0])
    assert set(parts["NamedAnswer"]["required"]) == {"image", "predictions"}
    assert client.get("/docs").status_code == 200


def test_videos_are_served_as_images_are(tmp_path: Path):
    model = tiny_timesformer(TimeSformerForVideoClassification)
    model.save_pretrained(tmp_path / "model")
    make_video_processor(model.config, mean=[0.5] * 3, std=[0.25] * 3).save_pretrained(tmp_path / "model")
    film = io.BytesIO()
    frames = [noise(seed, 32) for seed in range(6)]
    frames[0].save(film, "GIF", save_all=True, append_images=frames[1:])
    (tmp_path / "film.gif").write_bytes(film.getvalue())
    (expected,) = predict(str(tmp_path / "model"), [tmp_path / "film.gif"]).results
    app = make_app(ServedModel(str(tmp_path / "model"), top=3, max_pixels=10_000), Serving())

    async def answers() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://x") as client,
        ):
            good = await client.post("/predict", content=film.getvalue(), headers={"Content-Type": "image/gif"})
            bad = await client.post("/predict", content=b"no film", headers={"Content-Type": "video/mp4"})
            return [good, bad]

    good, bad = asyncio.run(answers())
    assert said(good.json()) == probabilities(expected)
    assert bad.status_code == 422
    assert "the video: " in bad.json()["detail"]


def test_a_model_that_fails_over_an_empty_image_is_not_served(saved: Path, tmp_path: Path):
    folder = shutil.copytree(saved, tmp_path / "model")
    settings = (folder / "preprocessor_config.json").read_text()
    (folder / "preprocessor_config.json").write_text(settings.replace('"do_resize": true', '"do_resize": false'))
    with pytest.raises(UserError, match="does not answer for an empty image"):
        ServedModel(str(folder), top=1, max_pixels=1)


def test_pictures_that_a_graph_prepares_itself_are_served_whatever_their_sizes(served: ServedModel, monkeypatch):
    class Grays:
        """Of each picture, more than 127 on average or not."""

        config, device = served.config, torch.device("cpu")

        def eval(self):
            return self

        def to(self, device):
            return self

        def __call__(self, pixel_values: Pictures):
            sizes.append(len(pixel_values))
            logits = [[0, picture.mean() - 127.0, 0, 0, 0] for picture in pixel_values]
            return SimpleNamespace(logits=torch.tensor(logits))

    sizes: list[int] = []
    monkeypatch.setattr(batching, "load_classifier", lambda *name, **remote: (Grays(), PictureProcessor(None)))
    app = make_app(ServedModel("grays", top=1, max_pixels=10_000), Serving(max_batch=3, batch_wait_ms=2000))
    shades = [Image.new("RGB", (20 + level, 30), (level,) * 3) for level in (10, 150, 250)]
    with running(app) as address, httpx.Client(base_url=address) as client:
        files = [("f", (f"{number}.png", png(image), "image/png")) for number, image in enumerate(shades)]
        answers = client.post("/predict", files=files).json()
    assert [one["predictions"][0]["probability"] > 0.99 for one in answers] == [False, True, True]
    assert sizes == [1, 3]  # the empty image, and all of the form


def test_what_is_left_of_a_refused_body_is_thrown_away_before_the_answer_ends():
    """Or its sender, who still sends, would find the connection broken and no answer."""
    left = [{"type": "http.request", "body": b"x", "more_body": more} for more in (True, True, False)]
    sent: list[tuple[str, bool, int]] = []

    async def receive():
        return left.pop(0)

    async def send(message):
        sent.append((message["type"], message.get("more_body", False), len(left)))

    async def refuse(scope, receive, send):
        await JSONResponse({"detail": "no"}, 415)(scope, receive, send)

    scope = {"type": "http", "headers": [(b"transfer-encoding", b"chunked")]}
    asyncio.run(bodies.BoundedBodies(refuse, 10)(scope, receive, send))
    start, body = "http.response.start", "http.response.body"
    assert sent == [(start, False, 3), (body, True, 3), (body, False, 0)]
