"""One tiny model, its graph from a picture's bytes to probabilities, its page, a server and a browser for all tests."""

import json
import shutil
import threading
import warnings
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
from made_images import noise
from tiny import tiny
from torch import Tensor, nn
from torch.export import Dim

from vit_hf import VisionTransformerForImageClassification
from vit_hf.data.decode.processors import make_image_processor
from vit_hf.demo.npm import RUNTIME, archive_of
from vit_hf.demo.static import write_static_page
from vit_hf.errors import UserError

MEAN, STD = 0.5, 0.25
NAMES = {0: "<script>window.hurt = 1</script>", 1: "a cat & a dog", 2: "bird", 3: "<b>kite</b>", 4: "sun"}


class FromBytes(nn.Module):
    """h w c, bytes -> labels, and h w of patches from 0 to 1: the brightness of each, for a heat that is known."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        pixels = images.permute(2, 0, 1)[None].float()
        pixels = nn.functional.interpolate(pixels, (32, 32), mode="bilinear")  # of 32 x 32 nothing changes
        heat = pixels.mean((0, 1)).reshape(4, 8, 4, 8).mean((1, 3)) / 255
        return self.model((pixels / 255 - MEAN) / STD).logits[0].softmax(-1), heat


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "model"
    torch.manual_seed(1)
    model: Any = tiny(VisionTransformerForImageClassification, id2label=NAMES)
    model.save_pretrained(folder)
    make_image_processor(model.config, mean=[MEAN] * 3, std=[STD] * 3, fit="crop", crop_pct=1.0).save_pretrained(folder)
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n\n# A tiny model\n")
    (folder / "examples").mkdir()
    for number in range(2):
        noise(number, 32).save(folder / "examples" / f"{number}.png")
    return folder


@pytest.fixture(scope="session")
def exported(model_folder: Path) -> Path:
    """The model's graph, with its examples beside it."""
    folder = model_folder.with_name("exported")
    shutil.copytree(model_folder, folder, ignore=shutil.ignore_patterns("*.safetensors", "*.py", "README.md"))
    graph = FromBytes(VisionTransformerForImageClassification.from_pretrained(model_folder)).eval()
    sides = {0: Dim("height", min=2, max=4096), 1: Dim("width", min=2, max=4096)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch, over its own old names
        program = torch.onnx.export(
            graph,
            (torch.zeros(40, 50, 3, dtype=torch.uint8),),
            dynamo=True,
            input_names=["images"],
            output_names=["probabilities", "heat"],
            dynamic_shapes={"images": sides},
            verbose=False,
        )
    assert program is not None
    program.save(str(folder / "model.onnx"), external_data=True)
    told = {"format": "onnx", "file": "model.onnx", "preprocessing": True, "outputs": ["probabilities", "heat"]}
    (folder / "export.json").write_text(json.dumps(told))
    return folder


@pytest.fixture(scope="session")
def runtime() -> Path:
    try:
        return archive_of(RUNTIME)
    except UserError as error:
        pytest.skip(f"no onnxruntime-web: {error}")


@pytest.fixture(scope="session")
def page_folder(exported: Path, runtime: Path) -> Path:
    return write_static_page(str(exported), exported.with_name("page"), title="<i>Tiny</i>").folder


class Silent(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Requests are counted in the browser."""


@pytest.fixture(scope="session")
def address(page_folder: Path) -> Iterator[str]:
    """Of a server that knows of files, and of nothing else."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Silent, directory=str(page_folder))) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Of one file of tests: as long as it is there an event loop runs, beside which others cannot run theirs."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="no Playwright")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()
