"""The app, asked by Gradio's client and opened in a browser."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from made_images import noise

from vit_hf.demo import app as app_module
from vit_hf.demo.app import build_app, introduction, launch_app, said_of_heat, shown_answers
from vit_hf.demo.exhibits import Exhibit
from vit_hf.demo.space import running, write_space

pytest.importorskip("gradio")
client_of_gradio = pytest.importorskip("gradio_client")


@pytest.fixture(scope="module")
def exhibit(model_folder: Path) -> Exhibit:
    return Exhibit(str(model_folder))


@pytest.fixture(scope="module")
def served(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The app as a Space starts it: a fresh process, in a folder that holds model and package."""
    folder = tmp_path_factory.mktemp("app") / "space"
    title = "A *title* <script>window.hurt = 1</script>"
    write_space(folder, str(model_folder), title=title, examples=[], trust_remote_code=False)
    with running(folder) as address:
        yield address


@pytest.fixture(scope="module")
def client(served: str) -> Any:
    return client_of_gradio.Client(served, verbose=False, analytics_enabled=False)


def test_it_answers_as_predict_does(client: Any, exhibit: Exhibit, tmp_path: Path):
    noise(4, 50).save(tmp_path / "one.png")
    answer, heat, caption = client.predict(client_of_gradio.handle_file(tmp_path / "one.png"), api_name="/predict")
    right = exhibit(tmp_path / "one.png").answers
    assert [(one["label"], one["confidence"]) for one in answer["confidences"]] == [
        (one["label"], one["probability"]) for one in right
    ]
    assert Path(heat).suffix == ".webp"
    assert caption.endswith(": gray is cold, bright is hot.")


def test_several_labels_and_numbers_are_told_as_such(exhibit: Exhibit, tmp_path: Path, monkeypatch):
    noise(4, 50).save(tmp_path / "one.png")
    monkeypatch.setattr(exhibit.model.config, "problem_type", "multi_label_classification")
    monkeypatch.setattr(exhibit.model.config, "thresholds", [1.0] * 5, raising=False)
    shown = exhibit(tmp_path / "one.png")
    assert shown_answers(exhibit, shown.answers) == "None of the labels"  # and not one of them, with 0%
    assert said_of_heat(exhibit, "bird").startswith("What speaks for **bird**, the most probable label: ")
    assert "each with a probability of its own" in introduction(exhibit)
    monkeypatch.setattr(exhibit.model.config, "problem_type", "regression")
    shown = exhibit(tmp_path / "one.png")
    assert shown.explained == exhibit.names[0]
    assert said_of_heat(exhibit, "bird").startswith("What raises **bird**, the first of the numbers: ")
    assert "What is in" not in introduction(exhibit)


def test_what_is_no_image_is_told(client: Any, tmp_path: Path):
    (tmp_path / "notes.png").write_text("no picture")
    with pytest.raises(Exception, match="notes.png"):
        client.predict(client_of_gradio.handle_file(tmp_path / "notes.png"), api_name="/predict")


def test_in_a_browser_nothing_else_is_asked_for(served: str, browser: Any):
    page = browser.new_context().new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(served)
    page.locator(".gallery-item").first.click()
    page.wait_for_selector("#heat img", timeout=20_000)
    page.get_by_text("<script>window.hurt").first.wait_for()
    assert page.evaluate("window.hurt") is None
    assert [one for one in asked if not one.startswith((served, "data:", "blob:"))] == []
    page.context.close()


def test_a_port_in_use_is_told(served: str):
    port = int(served.rstrip("/").rpartition(":")[2])
    with pytest.raises(ValueError, match=f"Port {port} of 127.0.0.1 cannot be had .* take another with --port"):
        launch_app(None, port=port)


def test_without_gradio_it_says_what_brings_it(exhibit: Exhibit, monkeypatch):
    monkeypatch.setattr(app_module, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install 'vit_hf\[demo\]'"):
        build_app(exhibit)
