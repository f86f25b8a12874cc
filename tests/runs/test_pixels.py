"""From files to a saved model: training, drawing, predicting and transformers see the same pixels."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made_images import photo
from PIL import Image
from transformers.models.auto.image_processing_auto import AutoImageProcessor

from vit_hf.data.decode.images import open_picture
from vit_hf.errors import UserError
from vit_hf.runs.predict import predict
from vit_hf.runs.prepared_run import PreparedRun
from vit_hf.runs.report import draw_report, save_examples
from vit_hf.runs.setup import prepare
from vit_hf.training.recipe.recipe import Recipe

SMALL = {"image_size": 8, "patch_size": 4, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}


def prepared(folder: Path, photos: Path, model: dict | None = None, **data: Any) -> PreparedRun:
    data = {"name": str(photos), "validation_fraction": 0, **data}
    sections: dict[str, Any] = {"model": {**SMALL, **(model or {})}, "data": data}
    training = {"output_dir": str(folder), "per_device_train_batch_size": 4, "save_strategy": "no"}
    return prepare(Recipe(**sections, training=training))


def saved(run: PreparedRun, folder: Path) -> Path:
    """As if it had been trained; new weights tell images apart well enough."""
    run.model.save_pretrained(folder)
    run.processor.save_pretrained(folder)
    return folder


def deep_folders(root: Path, white: float, dtype: Any, suffix: str) -> list[Path]:
    """60 images of two classes, of numbers up to `white`."""
    files = []
    for number in range(60):
        values = np.random.default_rng(number).random((12, 12)) * white
        values[0, 0] = white
        file = root / ("even", "odd")[number % 2] / f"{number}.{suffix}"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(values.astype(dtype)).save(file)
        files.append(file)
    return files


@pytest.mark.parametrize("fit", ["squash", "crop", "pad"])
@pytest.mark.parametrize(
    ("white", "dtype", "suffix"),
    [
        (1023, np.uint16, "png"),
        (4095, np.uint16, "tiff"),
        (65535, np.uint16, "png"),
        (255, np.int32, "tiff"),
        (1.0, np.float32, "tiff"),
        (255.0, np.float32, "tiff"),
    ],
)
def test_the_saved_processor_gives_transformers_our_pixels_and_our_answers(
    white: float, dtype: Any, suffix: str, fit: str, tmp_path: Path, capsys: pytest.CaptureFixture
):
    files = deep_folders(tmp_path / "photos", white, dtype, suffix)
    run = prepared(tmp_path / "run", tmp_path / "photos", fit=fit)
    assert run.recipe.data.pixel_range == (0, white)
    assert f"0 is black and {white:g} white (data.pixel_range: [0, {white:g}])" in capsys.readouterr().out
    folder = saved(run, tmp_path / "model")
    processor = AutoImageProcessor.from_pretrained(folder, trust_remote_code=True)
    theirs = processor([Image.open(file) for file in files], return_tensors="pt")["pixel_values"]
    order = [str(file) for file in files]
    for images in run.batches.values():
        places = [order.index(images.table.name_of(row)) for row in range(len(images))]
        own = images.__getitems__(range(len(images)))["pixel_values"]
        assert (own - theirs[places]).abs().max() <= 2 * 1.001 / 255  # a gray level, of a spread of a half
    with torch.inference_mode():
        expected = run.model.eval()(pixel_values=theirs).logits.softmax(-1)
    found = predict(str(folder), files)
    labels = [run.model.config.id2label[int(row.argmax())] for row in expected]
    assert [result["predictions"][0]["label"] for result in found.results] == labels
    ours = [result["predictions"][0]["probability"] for result in found.results]
    assert ours == pytest.approx(expected.amax(-1).tolist(), abs=1e-5)


def test_a_range_that_the_recipe_says_is_not_looked_for(tmp_path: Path, capsys: pytest.CaptureFixture):
    deep_folders(tmp_path / "photos", 900, np.uint16, "png")
    run = prepared(tmp_path / "run", tmp_path / "photos", pixel_range=[0, 2000])
    assert run.processor.pixel_range == [0, 2000]
    assert "looked at" not in capsys.readouterr().out
    assert run.batches["train"].__getitems__([0])["pixel_values"].max() < 0


def test_images_of_eight_bits_keep_a_processor_without_code(tmp_path: Path):
    for number in range(8):
        file = tmp_path / "photos" / ("a", "b")[number % 2] / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        photo(9 + number, 12).save(file)
    run = prepared(tmp_path / "run", tmp_path / "photos")
    assert run.recipe.data.pixel_range is None
    assert type(run.processor).__module__.startswith("transformers.")


# A date that is a rational, beside orientation 6.
TIFF = struct.pack(">2sHIH", b"MM", 42, 8, 2) + struct.pack(">HHII", 0x0132, 5, 1, 38)
STRANGE_EXIF = b"Exif\0\0" + TIFF + struct.pack(">HHIHH", 0x0112, 3, 1, 6, 0) + bytes(4) + struct.pack(">II", 1, 2)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_photo_of_strange_exif_is_checked_drawn_and_predicted_from_as_the_same_pixels(
    suffix: str, channels: int, tmp_path: Path
):
    files = []
    for number in range(8):
        file = tmp_path / "photos" / ("a", "b")[number % 2] / f"{number}.{suffix}"
        file.parent.mkdir(parents=True, exist_ok=True)
        photo(24, 40 + number).save(file, exif=STRANGE_EXIF)
        files.append(file)
    run = prepared(tmp_path / "run", tmp_path / "photos", {"num_channels": channels}, interpolation="nearest")
    folder = saved(run, tmp_path / "model")
    images = run.batches["test"]
    logits = torch.randn(len(images), 2)
    draw_report(images, logits, ["a", "b"], folder)
    examples = save_examples(images, ["a", "b"], folder / "examples")
    height, width = open_picture(examples["a"], "drawn").size
    assert height > width  # turned by a quarter
    found = predict(str(folder), files)
    assert not found.unreadable
    with torch.inference_mode():
        pixels = images.__getitems__(range(len(images)))["pixel_values"]
        expected = run.model.eval()(pixel_values=pixels).logits.softmax(-1).amax(-1)
    by_name = {result["image"]: result["predictions"][0]["probability"] for result in found.results}
    ours = [by_name[images.table.name_of(row)] for row in range(len(images))]
    assert ours == pytest.approx(expected.tolist(), abs=1e-5)


def test_images_that_are_too_large_are_named_before_training_with_the_field(tmp_path: Path):
    for number in range(8):
        file = tmp_path / "photos" / ("a", "b")[number % 2] / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        photo(9 + number, 12).save(file)
    with pytest.raises(UserError, match=r"1 of \d images cannot .*:\n.*7.png: it has 192 pixels.*--data.max_pixels"):
        prepared(tmp_path / "run", tmp_path / "photos", max_pixels=191)
    folder = saved(prepared(tmp_path / "run", tmp_path / "photos", max_pixels=192), tmp_path / "model")
    found = predict(str(folder), [tmp_path / "photos"], max_pixels=191)
    assert (len(found.results), len(found.unreadable)) == (7, 1)


def test_what_a_source_says_of_fitting_gives_way_to_what_the_recipe_says(tmp_path: Path):
    deep_folders(tmp_path / "photos", 4000, np.uint16, "png")
    padded = saved(prepared(tmp_path / "run", tmp_path / "photos", fit="pad"), tmp_path / "model")
    sections: dict[str, Any] = {"training": {"output_dir": str(tmp_path / "run"), "per_device_train_batch_size": 4}}

    def begun(**data: Any) -> Any:
        return prepare(Recipe(model={"from": str(padded)}, data={"name": str(tmp_path / "photos"), **data}, **sections))  # pyright: ignore[reportArgumentType]

    assert (begun().processor.fit, begun().processor.pixel_range) == ("pad", [0, 4095])
    assert begun(crop_pct=0.5).processor.fit == "crop"
    assert begun(fit="squash", pixel_range=[0, 9]).processor.pixel_range == [0, 9]
