from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from vit_hf import VisionTransformerConfig, VisionTransformerForImageClassification
from vit_hf.data.decode.processors import make_image_processor
from vit_hf.runs.begin import begin
from vit_hf.runs.probing import begin_from_probe
from vit_hf.runs.setup import prepare
from vit_hf.runs.train import train_prepared

SIZES = {"image_size": 16, "patch_size": 4, "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    """A headless model that nobody trained: even its features tell bright from dark."""
    config = VisionTransformerConfig(**SIZES, intermediate_size=48, num_labels=2, drop_path_rate=0.1)
    model: Any = VisionTransformerForImageClassification(config).vit
    model.save_pretrained(tmp_path / "encoder")
    make_image_processor(config).save_pretrained(tmp_path / "encoder")
    return tmp_path / "encoder"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    for name, level in {"bright": 170, "dark": 90, "middle": 130}.items():
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(30):
            pixels = random.normal(level, 40, (16, 16, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{number}.png")
    return tmp_path / "photos"


def run(photos: Path, encoder: Path, **training: Any) -> Any:
    training |= {"output_dir": str(photos.parent / "out"), "save_strategy": "no", "use_cpu": True, "disable_tqdm": True}
    overrides = {f"training.{name}": value for name, value in training.items()}
    return train_prepared(prepare(begin(str(photos), str(encoder), {**overrides, "data.train": {}})))


def test_training_begins_where_logistic_regression_ends(photos: Path, encoder: Path, capsys):
    found = run(photos, encoder, max_steps=1, learning_rate=0.0)
    said = capsys.readouterr().out
    assert found.probe["fine_tuned_accuracy"] == found.probe["probe_accuracy"] > 0.6
    assert f"Logistic regression on the frozen features: {found.probe['probe_accuracy']:.2%} on validation" in said
    assert "It has no head; one for 3 labels starts untrained" in said
    assert "Fine-tuning is even" in said
    assert found.model.config.pooling == "cls_mean"


def test_a_fine_tuning_that_leads_down_is_undone_and_said(photos: Path, encoder: Path, capsys):
    found = run(photos, encoder, max_steps=3, learning_rate=1.0)
    assert found.probe["kept"] == "probe"
    assert "Fine-tuning did not pay, and is undone" in capsys.readouterr().out
    trunk = load_file(encoder / "model.safetensors")
    for name, tensor in trunk.items():
        torch.testing.assert_close(found.model.vit.state_dict()[name], tensor, rtol=0, atol=0)


def test_what_the_features_are_read_of_is_not_decoded_once_more(
    photos: Path, encoder: Path, tmp_path: Path, monkeypatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    overrides = {"data.keep_in_memory": False, "training.output_dir": str(tmp_path / "out"), "training.use_cpu": True}
    prepared = prepare(begin(str(photos), str(encoder), overrides))
    assert all(bool(images.undecoded.all()) for images in prepared.batches.values())
    begin_from_probe(prepared, prepared.trainer())
    assert not any(bool(images.undecoded.any()) for images in prepared.batches.values())


def test_a_source_without_a_head_is_told_of_once_and_without_a_foreign_report(
    photos: Path, encoder: Path, capsys, caplog
):
    run(photos, encoder, max_steps=1)
    said = "".join(capsys.readouterr()) + caplog.text
    assert "untrained classifier" not in said
    assert "LOAD REPORT" not in said
    assert said.count("starts untrained") == 1


def test_what_was_cut_out_of_a_training_image_is_named_before_training(tmp_path: Path, encoder: Path, capsys):
    """Every scene has a color of its own, by which the features find the one that a piece is of."""
    random = np.random.default_rng(0)
    tints = random.permutation(np.linspace(0.15, 1, 24))
    for number, tint in enumerate(tints):
        part, name = ("train", "validation")[number % 8 == 7], ("a", "b")[number % 2]
        coarse = (random.integers(100, 256, (12, 12, 3)) * tint).astype(np.uint8)
        scene = Image.fromarray(coarse).resize((96, 96), Image.Resampling.BICUBIC)
        for folder, image in ((part, scene), ("test", scene.crop((10, 5, 90, 85))), ("test", scene.rotate(90))):
            if folder == part or number in (2, 4):
                place = tmp_path / "photos" / folder / name
                place.mkdir(parents=True, exist_ok=True)
                image.save(place / f"{number}_{image.size[0]}.png")
    for number in range(2):
        flat = Image.fromarray(random.integers(0, 256, (96, 96, 3), dtype=np.uint8))
        (tmp_path / "photos" / "test" / "b").mkdir(exist_ok=True)
        flat.save(tmp_path / "photos" / "test" / "b" / f"noise{number}.png")
    run(tmp_path / "photos", encoder, max_steps=1, per_device_train_batch_size=4)
    said = capsys.readouterr().out
    assert "2 of 6 test images are the same, but for a cut or a mirror, as train images, such as " in said
    assert said.index("but for a cut") < said.index("Fine-tuning ")
