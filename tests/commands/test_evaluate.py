import json
import shutil
from pathlib import Path

import pytest
from made_images import class_folders, noise

from vit_hf.commands.evaluate import main
from vit_hf.data.settings import DataSettings
from vit_hf.data.sources.open_data import open_data
from vit_hf.data.sources.split_record import SplitRecord
from vit_hf.hub.repository import repository_files
from vit_hf.runs.evaluate import data_settings, evaluate
from vit_hf.runs.predict import predict
from vit_hf.runs.setup import prepare
from vit_hf.runs.train import train_prepared
from vit_hf.training.recipe.recipe import Recipe


def test_evaluation_finds_the_figures_that_training_found(trained: Path, tmp_path: Path, capsys):
    assert main([str(trained), "--output", str(tmp_path / "evaluation")]) == 0
    assert "top-4 accuracy" in capsys.readouterr().out
    found = json.loads((tmp_path / "evaluation" / "metrics.json").read_text())
    expected = json.loads((trained / "metrics.json").read_text())
    assert found["classes"] == expected["classes"]
    for name in ("accuracy", "top_4_accuracy", "macro_f1", "auroc", "loss", "expected_calibration_error"):
        assert found[name] == pytest.approx(expected[name], rel=1e-4)
    assert (tmp_path / "evaluation" / "confusion_matrix.png").stat().st_size > 1000
    assert (tmp_path / "evaluation" / "predictions.png").stat().st_size > 1000


def test_labels_are_matched_by_name_whatever_their_order(trained: Path, tmp_path: Path):
    root = class_folders(tmp_path / "photos", {"7": 2, "3": 2})
    assert main([str(trained), "--data", str(root), "--split", "all", "--output", str(tmp_path / "out")]) == 0
    classes = json.loads((tmp_path / "out" / "metrics.json").read_text())["classes"]
    assert {name for name, row in classes.items() if row["images"]} == {"3", "7"}


def test_labels_that_the_model_does_not_know_are_named(trained: Path, tmp_path: Path, capsys):
    root = class_folders(tmp_path / "photos", {"7": 2, "cat": 2})
    assert main([str(trained), "--data", str(root)]) == 2
    assert "The model does not know the labels 'cat'; it knows '0', '1'" in capsys.readouterr().err


def test_figures_of_merged_tokens_say_so(trained: Path, tmp_path: Path, capsys):
    assert main([str(trained), "--token-merging", "4", "--output", str(tmp_path / "merged.json")]) == 0
    assert "split of digits, merging 4 tokens a layer" in capsys.readouterr().out
    assert json.loads((tmp_path / "merged.json").read_text())["token_merging"] == "4"


def damaged(trained: Path, folder: Path, weights: bytes) -> Path:
    for path in trained.iterdir():
        if path.suffix in (".json", ".py", ".yaml"):
            (folder / path.name).write_bytes(path.read_bytes())
    (folder / "model.safetensors").write_bytes(weights)
    return folder


@pytest.mark.parametrize("cut", ["truncated", "tampered", "empty"])
def test_damaged_weights_are_one_sentence(trained: Path, tmp_path: Path, capsys, cut: str):
    whole = (trained / "model.safetensors").read_bytes()
    weights = {"truncated": whole[:-100], "tampered": b"\xff" * 16 + whole[16:], "empty": b""}[cut]
    assert main([str(damaged(trained, tmp_path, weights))]) == 2
    error = capsys.readouterr().err
    assert "error: " in error
    assert "Traceback" not in error
    assert str(tmp_path) in error


def test_a_folder_that_is_no_model_is_one_sentence(tmp_path: Path, capsys):
    (tmp_path / "notes.txt").touch()
    assert main([str(tmp_path), "--data", "digits"]) == 2
    assert "has no config.json (in it: notes.txt)" in capsys.readouterr().err


PHOTOS = {"cat": 30, "dog": 30}
TINY = {"image_size": 8, "patch_size": 4, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `photos`, and the `model` that was trained on them for a step."""
    root = tmp_path_factory.mktemp("learned")
    sections = {
        "model": {**TINY, "intermediate_size": 32},
        "data": {"name": str(class_folders(root / "photos", PHOTOS))},
        "training": {"max_steps": 1, "output_dir": str(root / "model"), "save_strategy": "no", "disable_tqdm": True},
    }
    train_prepared(prepare(Recipe(**sections))).save()  # pyright: ignore[reportArgumentType]
    return root


def test_the_images_of_the_test_part_are_known_under_any_spelling_and_place(learned: Path, tmp_path: Path, monkeypatch):
    own = evaluate(str(learned / "model"))
    card = json.loads((learned / "model" / "metrics.json").read_text())
    assert own.metrics["loss"] == pytest.approx(card["loss"], rel=1e-5)
    monkeypatch.chdir(learned)
    shutil.copytree(learned / "photos", tmp_path / "moved" / "renamed")
    for data in ("./photos/", "../" + learned.name + "/photos", str(tmp_path / "moved" / "renamed")):
        found = evaluate(str(learned / "model"), data)
        assert found.metrics["loss"] == pytest.approx(own.metrics["loss"], rel=1e-6)
        assert f"of its test part; {len(own.images):,} are measured" in (found.told or "")


def test_images_that_it_trained_on_are_counted_and_left_out(learned: Path, tmp_path: Path):
    photos = tmp_path / "photos"
    shutil.copytree(learned / "photos", photos)
    for number in range(7):
        noise(7000 + number).save(photos / "cat" / f"new{number}.png")
    counts = {part: len(table) for part, table in open_data(DataSettings(name=str(learned / "photos"))).splits.items()}
    found = evaluate(str(learned / "model"), str(photos))
    assert len(found.images) == counts["test"] + 7
    assert found.told == (
        f"Of 67 images, {counts['train']} it has trained on, {counts['validation']} chose among its checkpoints, "
        f"{counts['test']} are of its test part, 7 are new to it; {counts['test'] + 7} are measured."
    )
    assert len(evaluate(str(learned / "model"), str(photos), split="all").images) == 67
    assert len(evaluate(str(learned / "model"), str(photos), split="train").images) == counts["train"]


def test_where_it_has_trained_on_everything_nothing_is_measured(learned: Path, tmp_path: Path):
    record = SplitRecord.load(learned / "model" / "split.jsonl")
    for entry in record.entries:
        if entry.part == "train":
            (tmp_path / entry.name).parent.mkdir(exist_ok=True)
            shutil.copy(learned / "photos" / entry.name, tmp_path / entry.name)
    with pytest.raises(ValueError, match=r"Nothing is left to measure; --split all measures"):
        evaluate(str(learned / "model"), str(tmp_path))


def test_data_of_a_strangers_model_are_measured_whole(learned: Path, tmp_path: Path):
    shutil.copytree(learned / "model", tmp_path / "model")
    (tmp_path / "model" / "split.jsonl").unlink()
    (tmp_path / "model" / "recipe.yaml").unlink()
    found = evaluate(str(tmp_path / "model"), str(learned / "photos"))
    assert (len(found.images), found.split, found.told) == (60, "whole", None)


def test_a_moved_folder_of_data_is_asked_for(learned: Path, tmp_path: Path):
    shutil.copytree(learned / "model", tmp_path / "model")
    record = (tmp_path / "model" / "split.jsonl").read_text().replace(str(learned), "/nowhere")
    (tmp_path / "model" / "split.jsonl").write_text(record)
    with pytest.raises(
        ValueError, match=r"lay in /nowhere/photos, and is not there any more; say where it is with --data"
    ):
        evaluate(str(tmp_path / "model"))


def test_nothing_that_is_published_says_where_the_photos_lie_or_what_they_are_called(learned: Path):
    names = repository_files(learned / "model")
    assert "split.jsonl" not in names
    for name in names:
        content = (learned / "model" / name).read_bytes()
        assert str(learned).encode() not in content, name


def test_flipped_views_are_measured_and_predicted_alike(trained: Path, tmp_path: Path, capsys):
    assert main([str(trained), "--tta", "--output", str(tmp_path / "out")]) == 0
    record = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert record["views"] == "flip"
    assert record["loss"] != json.loads((trained / "metrics.json").read_text())["loss"]
    example = trained / "examples" / "0.png"
    both = evaluate(str(trained), tta="flip")
    row = next(row for row in range(len(both.images)) if both.images.labels[row] == 0)  # of which the example was made
    (found,) = predict(str(trained), [example], tta="flip").results
    best = found["predictions"][0]
    expected = both.logits[row].softmax(-1)[both.labels.index(best["label"])]
    assert best["probability"] == pytest.approx(float(expected), abs=2e-3)


def test_views_that_are_none_are_one_sentence(trained: Path, capsys):
    assert main([str(trained), "--tta", "rotate"]) == 2
    assert "error: --tta rotate is none of flip, crops" in capsys.readouterr().err


def test_columns_of_the_recipe_hold_for_its_data_however_they_are_spelled(learned: Path, tmp_path: Path, monkeypatch):
    """Two columns could be labels: without the recipe nobody knows which."""
    photos = learned / "photos"
    names = sorted(path.relative_to(photos) for path in photos.rglob("*.png"))
    rows = [f"{photos / name},{name.parent},{'even' if number % 2 else 'odd'}" for number, name in enumerate(names)]
    (tmp_path / "photos.csv").write_text("\n".join(["file,kind,parity", *rows]))
    sections = {
        "model": {**TINY, "intermediate_size": 32},
        "data": {"name": str(tmp_path / "photos.csv"), "label_column": "parity"},
        "training": {"max_steps": 1, "output_dir": str(tmp_path / "m"), "save_strategy": "no", "disable_tqdm": True},
    }
    train_prepared(prepare(Recipe(**sections))).save()  # pyright: ignore[reportArgumentType]
    monkeypatch.chdir(tmp_path)
    own = evaluate("m")
    found = evaluate("m", "./../" + tmp_path.name + "/photos.csv")
    assert found.metrics == own.metrics
    assert found.labels == ["even", "odd"]


def test_a_field_is_said_to_be_wrong_where_it_stands(tmp_path: Path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("data: {name: digits, trian: {flip: 0.5}}\n")
    for name, overrides, where in (
        (None, [], f"^{recipe}: There is no field 'trian'"),
        ("digits", [], f"^{recipe}: There is no field 'trian'"),
        (None, ["--data.crop_pct", "1"], f"^{recipe} with what the command says: There is no field 'trian'"),
        ("other", ["--data.cut", "1"], "^--data: There is no field 'cut'"),
    ):
        with pytest.raises(ValueError, match=where):
            data_settings(str(tmp_path), name, overrides)
