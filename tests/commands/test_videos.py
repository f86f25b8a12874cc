"""Videos from a folder to a model, and back to an answer, as a user types it."""

import io
import json
import signal
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch
from commands.test_resume import interrupting, weights
from made_films import damaged_film, write_film
from made_images import noise, save_frames, video_folders
from PIL import Image
from tiny import tiny

from vit_hf import (
    TimeSformerForVideoClassification,
    TimeSformerVideoProcessor,
    VisionTransformerForImageClassification,
)
from vit_hf.commands.evaluate import main as evaluate
from vit_hf.commands.predict import main as predict
from vit_hf.commands.train import main as train
from vit_hf.data.decode.processors import make_image_processor
from vit_hf.runs.setup import prepare
from vit_hf.training.recipe.recipe import Recipe, load_recipe
from vit_hf.training.recipe.yaml_files import configuration_folder

TINY = {
    "family": "timesformer",
    "image_size": 8,
    "patch_size": 4,
    "num_frames": 4,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
}


def animation(frames: list[Image.Image], kind: str = "WEBP") -> bytes:
    buffer = io.BytesIO()
    frames[0].save(
        buffer, kind, save_all=True, append_images=frames[1:], **({"lossless": True} if kind == "WEBP" else {})
    )
    return buffer.getvalue()


def noises(seed: int, frames: int = 6) -> list[Image.Image]:
    return [noise(seed + number, 12) for number in range(frames)]


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of eight videos of every kind that needs no decoder beside Pillow."""
    root = video_folders(tmp_path_factory.mktemp("videos"), {"nod": 6, "wave": 6}, size=12)
    for place, name in enumerate(("nod", "wave")):
        (root / name / "one.webp").write_bytes(animation(noises(500 + 100 * place)))
        (root / name / "two.gif").write_bytes(animation(noises(700 + 100 * place), "GIF"))
    return root


def recipe_of(folder: Path, data: dict[str, Any], **training: Any) -> Path:
    training = {"max_steps": 4, "per_device_train_batch_size": 4, "output_dir": str(folder / "out"), **training}
    path = folder / "recipe.yaml"
    path.write_text(json.dumps({"model": {**TINY, "drop_path_rate": 0.2}, "data": data, "training": training}))
    return path


@pytest.fixture(scope="module")
def trained(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    assert train([str(recipe_of(folder, {"name": str(videos), "train": {"random_clip": True, "flip": 0.5}}))]) == 0
    return folder / "out"


def test_the_folder_of_a_training_speaks_of_videos(trained: Path):
    card = (trained / "README.md").read_text()
    assert "pipeline_tag: video-classification" in card
    assert "of the 4 videos of the test split" in " ".join(card.split())
    assert "- 4 frames, evenly over the whole video" in card
    assert "AutoVideoProcessor.from_pretrained" in card
    assert "AutoImageProcessor" not in card
    assert (trained / "predictions.png").is_file()
    saved = json.loads((trained / "preprocessor_config.json").read_text())
    assert saved["auto_map"] == {"AutoVideoProcessor": "video_processing_timesformer.TimeSformerVideoProcessor"}


def test_files_folders_of_frames_and_folders_of_both_are_predicted(trained: Path, videos: Path, capsys):
    assert predict([str(trained), str(videos / "nod"), str(videos / "wave" / "3"), "--json", "--top", "2"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert [Path(one["video"]).name for one in said] == ["0", "1", "2", "3", "4", "5", "one.webp", "two.gif", "3"]
    assert all({best["label"] for best in one["predictions"]} == {"nod", "wave"} for one in said)


def test_views_are_averaged_as_probabilities(trained: Path, videos: Path, capsys):
    """By hand, with the model and the processor alone."""
    assert predict([str(trained), str(videos / "nod" / "one.webp"), "--json", "--views", "2x1"]) == 0
    said = json.loads(capsys.readouterr().out)[0]["predictions"]
    model: Any = TimeSformerForVideoClassification.from_pretrained(trained)
    processor: Any = TimeSformerVideoProcessor.from_pretrained(trained)
    frames, shown = noises(500), ([0, 1, 3, 4], [1, 2, 4, 5])  # a quarter and three quarters into each of four parts
    pixels = processor([[frames[number] for number in numbers] for numbers in shown], return_tensors="pt")
    with torch.inference_mode():
        expected = model(**pixels).logits.softmax(-1).mean(0)
    found = {best["label"]: best["probability"] for best in said}
    assert found == pytest.approx({model.config.id2label[i]: float(p) for i, p in enumerate(expected)}, abs=1e-4)


def test_a_trained_folder_is_evaluated_on_its_own_split(trained: Path, tmp_path: Path, capsys):
    assert evaluate([str(trained), "--output", str(tmp_path)]) == 0
    assert "videos" in capsys.readouterr().out
    ended = json.loads((trained / "metrics.json").read_text())["loss"]
    assert json.loads((tmp_path / "metrics.json").read_text())["loss"] == pytest.approx(ended, abs=1e-5)
    assert evaluate([str(trained), "--views", "2x3", "--output", str(tmp_path), "--overwrite"]) == 0
    viewed = json.loads((tmp_path / "metrics.json").read_text())
    assert viewed["views"] == "2x3"
    assert viewed["loss"] != pytest.approx(ended, abs=1e-5)


@pytest.mark.parametrize("command", ["evaluate", "predict"])
@pytest.mark.parametrize(("views", "sentence"), [("3", "write it as 1x3"), ("0x3", "write it as 1x3")])
def test_views_that_are_none_are_refused(command: str, views: str, sentence: str, trained: Path, videos: Path, capsys):
    words = [str(trained), "--views", views]
    status = evaluate(words) if command == "evaluate" else predict([*words, str(videos)])
    assert status == 2
    assert sentence in capsys.readouterr().err


def test_a_broken_video_is_named_before_training(videos: Path, tmp_path: Path, capsys):
    broken = video_folders(tmp_path / "videos", {"nod": 3, "wave": 3})
    (broken / "wave" / "cut.webp").write_bytes(animation(noises(1))[:400])
    recipe = recipe_of(tmp_path, {"name": str(broken)}, per_device_train_batch_size=2)
    assert train([str(recipe)]) == 2
    said = capsys.readouterr().err
    assert "1 of 2 videos cannot be read" in said or "1 of 5 videos cannot be read" in said
    assert "cut.webp" in said


@pytest.mark.parametrize("cached", [False, True])
def test_a_resumed_run_ends_with_the_bits_of_one_without_interruption(
    cached: bool, videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("vit_hf.runs.results.FinishedRun.save", lambda run: run.place() or {})
    monkeypatch.setattr("vit_hf.runs.train.reload_without_package", lambda folder, images: [])
    data = {"name": str(videos), "train": {"random_clip": True, "color_jitter": 0.3, "erase": 0.5}}
    data |= {"mix": {"mixup": 0.5}, "cache": str(tmp_path / "cache")} if cached else {"keep_in_memory": False}
    recipe = recipe_of(tmp_path, data, save_steps=2)
    whole = tmp_path / "whole"
    assert train([str(recipe), "--training.output_dir", str(whole)]) == 0
    with monkeypatch.context() as patch:
        interrupting(patch, 2, signal.SIGTERM)
        assert train([str(recipe)]) == 75
    assert train([str(recipe), "--resume"]) == 0
    assert weights(tmp_path / "out") == weights(whole)


def test_videos_of_a_table_are_trained_on_whole_or_streamed(tmp_path: Path):
    def write(split: str, labels: list[int]) -> None:
        files = [{"bytes": animation(noises(50 * place)), "path": None} for place in range(len(labels))]
        kinds = datasets.Features({"video": datasets.Video(), "label": datasets.ClassLabel(names=["nod", "wave"])})
        table = datasets.Dataset.from_dict({"video": files, "label": labels}, features=kinds)
        table.to_parquet(tmp_path / f"{split}-0.parquet")

    datasets.disable_progress_bars()
    write("train", [0, 1, 0, 1, 0, 1])
    write("test", [0, 1])
    sections: dict[str, Any] = {"model": TINY, "data": {"name": str(tmp_path), "validation_fraction": 0}}
    training = {
        "max_steps": 1,
        "per_device_train_batch_size": 2,
        "output_dir": str(tmp_path / "out"),
        "report_to": "none",
    }
    whole = prepare(Recipe(**sections, training=training))
    assert whole.counts == {"train": 6, "test": 2}
    assert whole.batches["train"].__getitems__([0])["pixel_values"].shape == (1, 4, 3, 8, 8)
    sections["data"] = {**sections["data"], "streaming": True}
    streamed = prepare(Recipe(**sections, training=training))
    streamed.trainer().train()
    assert streamed.counts == {"train": None, "test": 2}


def test_a_model_of_images_begins_a_training_on_videos(videos: Path, tmp_path: Path):
    image_model: Any = tiny(VisionTransformerForImageClassification, image_size=8, patch_size=4, num_labels=2)
    image_model.save_pretrained(tmp_path / "vit")
    make_image_processor(image_model.config, mean=(0.1, 0.2, 0.3)).save_pretrained(tmp_path / "vit")
    model = {"family": "timesformer", "from": str(tmp_path / "vit"), "num_frames": 3, "temporal_projection": True}
    training = {"max_steps": 1, "per_device_train_batch_size": 2, "output_dir": str(tmp_path / "out")}
    run = prepare(Recipe(model=model, data={"name": str(videos)}, training=training))  # pyright: ignore[reportArgumentType]
    assert run.model.config.num_frames == 3
    assert list(run.processor.image_mean) == [0.1, 0.2, 0.3]
    stills = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = image_model.vit(stills).pooler_output
        found = run.model.eval().timesformer(stills[:, None].repeat(1, 3, 1, 1, 1)).pooler_output
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    ("model", "name", "sentence"),
    [
        (TINY, "digits", "digits are images, and the model takes videos; take --data.name moving_digits"),
        ({"image_size": 24, "patch_size": 4}, "moving_digits", "moving_digits are videos, and the model takes images"),
    ],
)
def test_images_for_a_model_of_videos_are_refused(model: dict, name: str, sentence: str, tmp_path: Path):
    with pytest.raises(ValueError, match=sentence):
        prepare(Recipe(model=model, data={"name": name}, training={"output_dir": str(tmp_path)}))  # pyright: ignore[reportArgumentType]


def test_weights_of_a_model_of_videos_ask_for_their_family(trained: Path, tmp_path: Path):
    with pytest.raises(ValueError, match="takes videos, and not images; say --model.family timesformer"):
        prepare(Recipe(model={"from": str(trained)}, data={"name": "digits"}, training={"output_dir": str(tmp_path)}))  # pyright: ignore[reportArgumentType]


def test_frames_of_one_video_are_one_answer(trained: Path, tmp_path: Path, capsys):
    folder = save_frames(tmp_path / "clip", noises(3))
    assert predict([str(trained), str(folder), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 1


def accuracy_of(folder: Path, *words: str) -> float:
    recipe = configuration_folder() / "recipes" / "moving_digits.yaml"
    run = prepare(load_recipe(recipe, ["--training.output_dir", str(folder), *SHORTER, *words]))
    trainer = run.trainer()
    trainer.train()
    return trainer.evaluate()["eval_accuracy"]


SHORTER = ["--training.max_steps", "90", "--training.eval_strategy", "no", "--training.disable_tqdm", "true"]


def test_directions_are_told_apart_by_attention_over_time_and_not_without(tmp_path: Path):
    assert accuracy_of(tmp_path / "divided") > 0.9
    assert accuracy_of(tmp_path / "space", "--model.attention_type", "space_only") < 0.6


def test_a_run_whose_frames_are_told_by_a_pattern_is_finished_and_predicts(tmp_path: Path, capsys):
    for place, name in enumerate(["nod/0", "nod/1", "nod/2", "wave/0", "wave/1", "wave/2"]):
        save_frames(tmp_path / "videos" / name, noises(30 * place))
        for number in range(6):
            noise(900 + number, 12).save(tmp_path / "videos" / name / f"flow_{number}.png")
    data = {"name": str(tmp_path / "videos"), "frames": "frame_*.png", "validation_fraction": 0}
    assert train([str(recipe_of(tmp_path, data, per_device_train_batch_size=2))]) == 0
    assert "without vit_hf" in capsys.readouterr().out
    assert len([*(tmp_path / "out" / "examples" / "0").glob("frame_00*.png")]) == 4
    assert predict([str(tmp_path / "out"), str(tmp_path / "videos" / "nod" / "0"), "--json"]) == 0
    (answer,) = json.loads(capsys.readouterr().out)
    assert answer["video"].endswith("nod/0")


@pytest.mark.parametrize("found", ["marked", "raises"])
@pytest.mark.parametrize(("on_error", "code"), [("fail", 1), ("skip", 0)])
def test_a_damaged_film_among_others_is_named_and_counts_as_said(on_error, code, found, trained, tmp_path, capsys):
    (tmp_path / "films").mkdir()
    write_film(tmp_path / "films" / "whole.mp4", "libx264", count=36)
    damaged_film(tmp_path / "films" / "damaged.mp4", 14, found)
    assert predict([str(trained), str(tmp_path / "films"), "--json", "--on-error", on_error]) == code
    printed = capsys.readouterr()
    assert [Path(one["video"]).name for one in json.loads(printed.out)] == ["whole.mp4"]
    assert "1 of 2 videos cannot be read" in printed.err
    assert "damaged.mp4: " in printed.err


def test_a_recipe_trains_around_a_damaged_film_or_refuses_it(tmp_path, capsys):
    for count, name in enumerate(("a/1", "a/2", "b/1", "b/2"), 12):
        (tmp_path / "films" / name).parent.mkdir(parents=True, exist_ok=True)
        write_film(tmp_path / "films" / f"{name}.mp4", "libx264", count=count)
    damaged_film(tmp_path / "films" / "b" / "3.mp4", 14, "marked")
    data = {"name": str(tmp_path / "films"), "validation_fraction": 0}
    assert train([str(recipe_of(tmp_path, data, max_steps=1, per_device_train_batch_size=2))]) == 2
    assert "b/3.mp4: it is damaged at frame" in capsys.readouterr().err
    data["on_error"] = "skip"
    assert train([str(recipe_of(tmp_path, data, max_steps=1, per_device_train_batch_size=2))]) == 0
    assert "b/3.mp4: it is damaged at frame" in capsys.readouterr().out
