"""A published processor wins over the configuration, and its pixels are those of the library that it came from."""

import json
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import transformers
from conversion.dinov3_pixels import pixels_of_dinov3
from conversion.published_pairs import PAIRS, VIDEOS
from PIL import Image
from transformers import AutoConfig
from transformers.models.auto.image_processing_auto import AutoImageProcessor

from vit_hf.conversion.convert import Conversion
from vit_hf.conversion.core.pixels import compare_pixels, photographs, pixels_by
from vit_hf.conversion.core.preprocessing import make_image_processor, preprocessing_words, stock_processor
from vit_hf.conversion.pretrained import load_any
from vit_hf.data.decode.images import OpenPicture
from vit_hf.data.decode.preparation import Preparation


def published(name: str, folder: Path) -> Path:
    """A folder of transformers: the pair of that name, and weights drawn at random."""
    config, processor = {**PAIRS, **VIDEOS}[name]
    words = {key: value for key, value in config.items() if key not in ("model_type", "architectures")}
    built = AutoConfig.for_model(config["model_type"], **words)
    model_class = getattr(transformers, config["architectures"][0])
    model_class(built).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return folder


def pixels_of(processor: Any, photo: Image.Image) -> torch.Tensor:
    return torch.as_tensor(processor(photo, return_tensors="np")["pixel_values"][0])


@pytest.mark.parametrize("name", PAIRS)
def test_the_pixels_of_a_photograph_are_those_of_the_published_processor(name, tmp_path):
    conversion = Conversion.of(load_any(published(name, tmp_path / "theirs")), "vit_hf")
    assert conversion.differing == []
    conversion.save(tmp_path / "ours")
    ours = AutoImageProcessor.from_pretrained(tmp_path / "ours", backend="pil")
    try:
        theirs = AutoImageProcessor.from_pretrained(tmp_path / "theirs", backend="pil")
        made_by_theirs = pixels_by(theirs)
    except ImportError:  # of torchvision alone, which is not here: then it is said
        assert "cannot be run here" in " ".join(conversion.loaded.notes)
        theirs = SimpleNamespace(**PAIRS[name][1])
        made_by_theirs = partial(pixels_of_dinov3, theirs)
    white = 255 * theirs.rescale_factor if theirs.do_rescale else 255.0
    levels = torch.tensor(theirs.image_std if theirs.do_normalize else [1.0] * 3)[:, None, None] / white
    for photo in photographs():
        found, expected = pixels_of(ours, photo), made_by_theirs(photo)
        assert found.shape == expected.shape
        assert float(((found - expected) * levels).abs().max()) <= 2 / 255


@pytest.mark.parametrize("name", VIDEOS)
def test_the_frames_of_a_video_are_those_of_the_published_processor(name, tmp_path):
    """But for a middle of half pixels, which PyTorchVideo and ours round as torch does."""
    conversion = Conversion.of(load_any(published(name, tmp_path / "theirs")), "vit_hf")
    report = conversion.reports["transformers and vit_hf, pixels"]
    assert report.passed
    assert max(report.largest) == 0.0  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize("name", [name for name in PAIRS if "without do_resize" not in name])
def test_training_and_evaluation_prepare_images_as_the_published_processor_does(name, tmp_path):
    """By the bytes, and the mean and std that rescaling is counted into."""
    loaded = load_any(published(name, tmp_path))
    preparation, photo = Preparation(loaded.processor, 3), photographs()[0]
    expected = pixels_of(loaded.processor, photo)
    found = preparation.normalize_(preparation.pixels(OpenPicture(photo)).float() / 255)
    assert found.shape == expected.shape
    assert float(((found - expected) * preparation.std).abs().max()) <= 3 / 255  # spare bytes are read of large photos


def test_a_processor_of_another_size_than_the_configuration_is_said(tmp_path):
    loaded = load_any(published("facebook/dinov2-small", tmp_path))
    assert pixels_of(loaded.processor, photographs()[0]).shape == (3, 224, 224)
    said = "makes 224 x 224 pixels, the configuration says 518 x 518: positions are resampled"
    assert any(said in note for note in loaded.notes)


def test_a_rescaling_of_its_own_is_counted_into_mean_and_std(tmp_path):
    loaded = load_any(published("a ViT scaled to -1..1 by a factor alone", tmp_path))
    words = preprocessing_words(loaded.processor)
    assert (words["mean"], words["std"]) == ([0.0], [pytest.approx(0.5)])


def test_pixels_that_differ_are_measured_and_refused_until_they_are_allowed(tmp_path, monkeypatch, capsys):
    from vit_hf.commands.convert import main

    folder = published("google/vit-base-patch16-224", tmp_path / "theirs")
    brighter = make_image_processor(load_any(folder).model.config, mean=(0.4, 0.5, 0.5), interpolation="bilinear")
    monkeypatch.setattr("vit_hf.conversion.pretrained.processor_from_json", lambda *given: brighter)
    assert main([str(folder), str(tmp_path / "ours")]) == 1
    said = capsys.readouterr()
    assert "25.50 of 255 at most, 8.50 on average; NOT equal within 2" in said.out
    assert "--allow-other-pixels writes it all the same" in said.err
    assert not (tmp_path / "ours").exists()
    assert main([str(folder), str(tmp_path / "ours"), "--allow-other-pixels"]) == 0
    report = json.loads((tmp_path / "ours" / "parity.json").read_text())["transformers and vit_hf, pixels"]
    assert report["passed"] is False
    assert max(report["largest"]) == pytest.approx(0.1, abs=1e-4)


def test_a_middle_that_lies_a_pixel_further_is_said_and_allowed(tmp_path):
    config: Any = transformers.ViTConfig(image_size=224)
    how: Any = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    ours = make_image_processor(config, crop_pct=0.875, interpolation="bicubic")
    theirs = transformers.BitImageProcessorPil(
        size={"shortest_edge": 256}, crop_size={"height": 224, "width": 224}, resample=3, **how
    )
    report = compare_pixels(ours, pixels_by(theirs))
    assert report.passed
    assert 0 < report.shifted < len(report.largest)
    assert "the middle lies a pixel further" in str(report)


def test_a_middle_that_lies_a_pixel_further_in_every_image_is_no_other_picture():
    """Of 35 rows 32 are cut out, whichever photograph it is: the rest of 3 is halved to 1, or to 2, which is even."""
    config: Any = transformers.ViTConfig(image_size=32)
    ours = make_image_processor(config, crop_pct=0.9, interpolation="bicubic")
    theirs, _ = stock_processor(ours)
    report = compare_pixels(ours, pixels_by(theirs))
    assert report.passed
    assert report.shifted == len(report.largest)
    assert max(report.largest) == 0.0


def test_a_middle_two_pixels_further_or_of_another_size_is_another_picture():
    config: Any = transformers.ViTConfig(image_size=224)
    ours = make_image_processor(config, crop_pct=0.875, interpolation="bicubic")
    two_further = compare_pixels(ours, lambda photo: pixels_by(ours)(photo.crop((4, 0, photo.width, photo.height))))
    larger = compare_pixels(ours, pixels_by(make_image_processor(config, crop_pct=0.87, interpolation="bicubic")))
    for report in (two_further, larger):
        assert not report.passed
        assert "NOT equal within 2" in str(report)


def test_images_of_other_sizes_are_not_the_same():
    config: Any = transformers.ViTConfig(image_size=224)
    other: Any = transformers.ViTConfig(image_size=256)
    report = compare_pixels(make_image_processor(config), pixels_by(make_image_processor(other)))
    assert not report.passed
    assert "224 x 224 and 256 x 256 of them; NOT the same" in str(report)
