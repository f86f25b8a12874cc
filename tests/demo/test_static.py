"""A page that classifies in the browser, opened in one."""

import base64
import io
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_images import noise
from PIL import Image

from vit_hf.demo.static import exported_for_browsers, refuse_other_export, write_static_page
from vit_hf.runs.predict import predict

DROP = """([content, name, type]) => {
  const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
  const data = new DataTransfer();
  data.items.add(new File([bytes], name, { type }));
  document.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
}"""
PIXELS = """() => {
  const canvas = document.querySelector("#picture");
  const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  return [canvas.height, canvas.width, Array.from(data)];
}"""


class Opened:
    """The page in a browser, with what it asked for, and what it complained of."""

    def __init__(self, browser: Any, address: str, **how: Any):
        self.context = browser.new_context(**how)
        self.page = self.context.new_page()
        self.page.set_default_timeout(20_000)
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda said: self.complaints.append(said.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(address)

    def __enter__(self) -> "Opened":
        return self

    def __exit__(self, *error: object) -> None:
        self.context.close()

    def drop(self, content: bytes, name: str, kind: str = "image/png") -> None:
        self.page.evaluate(DROP, [base64.b64encode(content).decode(), name, kind])

    def answers(self, number: int = 1) -> list[tuple[str, float]]:
        """Of the picture of this number, best first."""
        self.page.wait_for_selector(f"body[data-answered='{number}']")
        rows = self.page.locator("#labels li")
        names, shares = (
            rows.locator(".name").all_text_contents(),
            rows.evaluate_all("rows => rows.map((row) => Number(row.dataset.probability))"),
        )
        return list(zip(names, shares, strict=True))

    def drawn(self) -> np.ndarray:
        """-> h w 4"""
        height, width, values = self.page.evaluate(PIXELS)
        return np.array(values, np.uint8).reshape(height, width, 4)

    def trouble(self) -> str:
        self.page.wait_for_selector("#trouble:visible")
        return self.page.text_content("#trouble")


def encoded(image: Image.Image, kind: str = "PNG", **how: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **how)
    return file.getvalue()


def expected(model_folder: Path, content: bytes, tmp_path: Path) -> list[tuple[str, float]]:
    """What PyTorch says of the same file."""
    (tmp_path / "picture").write_bytes(content)
    (result,) = predict(str(model_folder), [tmp_path / "picture"], top=5).results
    return [(one["label"], one["probability"]) for one in result["predictions"]]


def test_a_dropped_picture_gets_the_answer_of_pytorch_and_its_heat(browser, address, model_folder, tmp_path):
    content = encoded(noise(3, 32))
    with Opened(browser, address) as opened:
        opened.drop(content, "noise.png")
        found = opened.answers()
        right = expected(model_folder, content, tmp_path)
        assert [name for name, _ in found] == [name for name, _ in right]
        np.testing.assert_allclose([share for _, share in found], [share for _, share in right], atol=1e-4)
        assert opened.page.text_content("#headline").startswith(right[0][0])
        assert opened.complaints == []
        hot = opened.drawn()
        opened.page.locator("#heat").fill("0")
        cold = opened.drawn()
        np.testing.assert_array_equal(cold[::8, ::8, :3], np.asarray(noise(3, 32)))  # shown eight times as large
        assert np.abs(hot.astype(int) - cold).max() > 60
        # Names are words, and no part of the page.
        assert opened.page.evaluate("window.hurt") is None
        assert (opened.page.title(), opened.page.text_content("h1")) == ("<i>Tiny</i>", "<i>Tiny</i>")
        assert opened.page.locator(".labels b, h1 i").count() == 0
        assert opened.requests
        assert [one for one in opened.requests if not one.startswith((address, "data:", "blob:"))] == []


def test_heat_lies_where_the_graph_says(browser, address):
    picture = Image.new("RGB", (64, 32))  # of which the processor cuts out the middle
    picture.paste((255, 255, 255), (16, 0, 32, 16))
    with Opened(browser, address) as opened:
        opened.drop(encoded(picture), "corner.png")
        opened.answers()
        drawn = opened.drawn()[..., :3].astype(int)
    assert drawn.shape[:2] == (128, 256)
    # Its graph is one of squeezed pictures: the white lies in the second column of four, seen over that of the middle.
    assert drawn[:, :60].max() == drawn[:, 196:].max() == 0
    assert drawn[30, 68].min() > 240
    assert drawn[30, 112, 2] < 220


@pytest.mark.parametrize("kind", ["transparent", "turned", "gray"])
def test_pictures_are_decoded_as_the_package_does(browser, address, model_folder, tmp_path, kind):
    image = noise(5, 32)
    if kind == "transparent":
        image.putalpha(Image.fromarray(np.arange(1024, dtype=np.uint8).reshape(32, 32) // 2))
        content = encoded(image)
    elif kind == "turned":
        exif = Image.Exif()
        exif[0x0112] = 6
        content = encoded(image, "JPEG", quality=100, subsampling=0, exif=exif)
    else:
        content = encoded(image.convert("L"))
    with Opened(browser, address) as opened:
        opened.drop(content, f"{kind}.png")
        right = dict(expected(model_folder, content, tmp_path))
        for name, share in opened.answers():
            assert share == pytest.approx(right[name], abs=1e-3)


def test_what_is_no_picture_is_told_and_the_answer_stays(browser, address):
    with Opened(browser, address) as opened:
        opened.drop(encoded(noise(1, 32)), "noise.png")
        before = opened.answers()
        opened.drop(b"no picture", "notes.txt", "text/plain")
        assert opened.trouble().startswith("notes.txt is no picture that this browser can read.")
        assert opened.answers() == before


def test_a_model_that_does_not_load_is_told(browser, address):
    with Opened(browser, "about:blank") as opened:
        opened.page.route("**/model.onnx", lambda route: route.fulfill(status=200, body="nonsense"))
        opened.page.goto(address)
        assert opened.trouble().startswith("The model does not load (")
        opened.drop(encoded(noise(1, 32)), "noise.png")
        opened.page.wait_for_selector("#headline:text('No answer')")
        opened.page.unroute_all()
        opened.page.route("**/model.onnx", lambda route: route.fulfill(status=404))
        opened.page.reload()
        assert "the server answered 404 for model.onnx" in opened.trouble()


def test_keys_reach_the_examples(browser, address, model_folder, tmp_path):
    with Opened(browser, address) as opened:
        first = opened.page.locator("#example-list button").first
        first.wait_for()
        for _ in range(8):
            opened.page.keyboard.press("Tab")
            if first.evaluate("button => button === document.activeElement"):
                break
        opened.page.keyboard.press("Enter")
        right = expected(model_folder, (model_folder / "examples" / "0.png").read_bytes(), tmp_path)
        assert [name for name, _ in opened.answers()] == [name for name, _ in right]


def test_it_is_dark_where_the_system_is_and_fits_a_narrow_screen(browser, address, page_folder):
    with Opened(browser, "about:blank", color_scheme="dark", viewport={"width": 360, "height": 640}) as opened:
        told = json.loads((page_folder / "settings.json").read_text())
        told |= {"labels": ["a very long name " * 20, *"bcde"], "thresholds": [1.0, 0.0, 0.0, 0.0, 1.0]}
        opened.page.route("**/settings.json", lambda route: route.fulfill(json=told))
        opened.page.goto(address)
        opened.drop(encoded(noise(2, 32)), "noise.png")
        assert len(opened.answers()) == 5
        assert set(opened.page.text_content("#headline").split(", ")) == {*"bcd"}
        assert opened.page.locator("#labels .below").count() == 2
        assert opened.page.text_content("#details").startswith("Each label has a probability of its own; ")
        ground = opened.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert sum(int(number) for number in ground.removeprefix("rgb(").rstrip(")").split(",")) < 150
        assert opened.page.evaluate("document.documentElement.scrollWidth") <= 360


def test_opened_as_a_file_it_says_what_it_needs(browser, page_folder: Path):
    with Opened(browser, (page_folder / "index.html").as_uri()) as opened:
        opened.page.wait_for_selector("#unstarted:visible")
        assert "python -m http.server" in opened.page.text_content("#unstarted")


def test_a_folder_with_something_in_it_stays(exported: Path, tmp_path: Path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ValueError, match="is not empty; name another"):
        write_static_page(str(exported), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_graph_of_another_kind_is_refused(tmp_path: Path):
    with pytest.raises(ValueError, match=r"exported as onnx without preprocessing, and a page needs"):
        refuse_other_export({"format": "onnx", "preprocessing": False, "outputs": ["logits"]}, tmp_path)
    with pytest.raises(ValueError, match=r"exported as onnx for batches, and a page needs ONNX from one picture"):
        refuse_other_export({"format": "onnx", "preprocessing": True, "batched": True}, tmp_path)


def test_a_model_too_large_for_a_browser_is_refused_before_it_is_exported(model_folder: Path, tmp_path: Path):
    shutil.copyfile(model_folder / "config.json", tmp_path / "config.json")
    with (tmp_path / "model.safetensors").open("wb") as file:
        file.truncate(2_500_000_000)  # which takes no room on a disk
    with pytest.raises(ValueError, match=r"takes 2\.5 GB, and a browser runs no more than 2; take a smaller one"):
        exported_for_browsers(str(tmp_path), trust_remote_code=False).__enter__()


def test_a_picture_may_come_before_anything_is_known_of_the_model(browser, address, page_folder):
    held: list[Any] = []
    with Opened(browser, "about:blank") as opened:
        opened.page.route("**/settings.json", lambda route: held.append(route))
        opened.page.goto(address, wait_until="commit")
        opened.page.wait_for_selector("#status:text('on its way')")
        opened.drop(encoded(noise(1, 32)), "noise.png")
        told = json.loads((page_folder / "settings.json").read_text())
        held[0].fulfill(json=told | {"labels": [*"abcde"], "are_numbers": True})
        opened.page.wait_for_selector("body[data-answered='1']")
        assert opened.complaints == []
        # Numbers are no probabilities: as many rows as there are, in their order, without percent signs and bars.
        assert opened.page.text_content("#headline") == "5 numbers"
        assert re.fullmatch(r"a[\d.]+b[\d.]+c[\d.]+d[\d.]+e[\d.]+", opened.page.text_content("#labels"))
        assert opened.page.locator("#labels .bar").count() == 0
