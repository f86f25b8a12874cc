"""Images that are not kept in memory: decoded as they come up, and the late ones beside the training."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_images import png
from PIL import Image

from vit_hf.data.batches.checks import decoded_before, keys_of
from vit_hf.data.batches.dataset import ImageBatches
from vit_hf.data.decode.files import UnreadableImage
from vit_hf.runs.prepared_run import PreparedRun
from vit_hf.runs.setup import prepare
from vit_hf.runs.train import train_prepared
from vit_hf.training.recipe.recipe import Recipe
from vit_hf.training.trainer.decoding_check import DecodingCheck

MODEL = {
    "family": "vit",
    "image_size": 8,
    "patch_size": 4,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
}


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    numbers = np.random.default_rng(0)
    for part, count in {"train": 8, "validation": 3, "test": 3}.items():
        for name in ("cat", "dog"):
            folder = tmp_path / "photos" / part / name
            folder.mkdir(parents=True)
            for number in range(count):
                noise = numbers.integers(0, 256, (32, 32, 3), dtype=np.uint8)
                (folder / f"{number}.png").write_bytes(png(Image.fromarray(noise)))
    return tmp_path / "photos"


def damage(path: Path) -> None:
    """The pixels are lost, and the ends are whole."""
    content = path.read_bytes()
    path.write_bytes(content[:1000] + bytes(500) + content[1500:])


def prepared(photos: Path, tmp_path: Path, *, epochs: int = 1, **data: Any) -> PreparedRun:
    training = {
        "output_dir": str(tmp_path / "run"),
        "num_train_epochs": epochs,
        "per_device_train_batch_size": 4,
        "save_strategy": "no",
        "eval_strategy": "no",
        "disable_tqdm": True,
        "use_cpu": True,
    }
    return prepare(Recipe(model=MODEL, data={"name": str(photos), "keep_in_memory": False, **data}, training=training))  # pyright: ignore[reportArgumentType]


def undecoded(run: PreparedRun) -> dict[str, int]:
    return {part: int(images.undecoded.sum()) for part, images in run.batches.items()}


def test_the_second_run_has_nothing_left_to_decode(photos: Path, tmp_path: Path):
    run = prepared(photos, tmp_path)
    assert undecoded(run) == {"train": 16, "validation": 6, "test": 6}
    train_prepared(run)
    assert undecoded(run) == {"train": 0, "validation": 0, "test": 0}
    again = prepared(photos, tmp_path)
    assert undecoded(again) == {"train": 0, "validation": 0, "test": 0}
    assert not any(isinstance(one, DecodingCheck) for one in again.trainer().callback_handler.callbacks)


def test_processes_that_load_images_say_what_they_decoded(photos: Path, tmp_path: Path):
    run = prepared(photos, tmp_path)
    run.arguments.dataloader_num_workers = 1
    train_prepared(run)
    assert len(decoded_before(keys_of(run.batches["train"].table))) == 16


def test_a_broken_image_to_test_on_is_told_long_before_the_end(photos: Path, tmp_path: Path):
    damage(photos / "test" / "dog" / "1.png")
    run = prepared(photos, tmp_path, epochs=10_000)
    with pytest.raises(UnreadableImage, match=r"1 of 6 images of the test split cannot be read:\n.*dog/1\.png") as said:
        train_prepared(run)
    assert "leave them out with --data.on_error skip" in str(said.value)


def test_a_broken_image_to_train_on_stops_the_first_epoch(photos: Path, tmp_path: Path):
    damage(photos / "train" / "cat" / "3.png")
    with pytest.raises(UnreadableImage, match=r"cat/3\.png.*--data\.on_error skip"):
        train_prepared(prepared(photos, tmp_path))


def test_images_to_be_left_out_are_known_before_the_first_step(photos: Path, tmp_path: Path, capsys):
    damage(photos / "train" / "cat" / "3.png")
    damage(photos / "test" / "dog" / "1.png")
    run = prepared(photos, tmp_path, on_error="skip")
    assert run.counts == {"train": 15, "validation": 6, "test": 5}
    assert undecoded(run) == {"train": 0, "validation": 0, "test": 0}
    assert "1 of 16 images cannot be read" in capsys.readouterr().out
    assert len(train_prepared(run).logits) == 5


def test_a_training_that_fails_leaves_no_check_behind(photos: Path, tmp_path: Path, monkeypatch):
    run = prepared(photos, tmp_path)
    trainers: list[Any] = []
    making = PreparedRun.trainer

    def made(self: PreparedRun, **how: Any):
        trainers.append(making(self, **how))
        return trainers[-1]

    monkeypatch.setattr(PreparedRun, "trainer", made)
    monkeypatch.setattr(ImageBatches, "raw", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        train_prepared(run)
    (check,) = (one for one in trainers[0].callback_handler.callbacks if isinstance(one, DecodingCheck))
    assert check.thread is not None
    check.thread.join(10)
    assert check.stop.is_set()
    assert not check.thread.is_alive()
