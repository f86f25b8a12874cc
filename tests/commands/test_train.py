import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard
from made_images import class_folders, jpeg, photo
from PIL import Image

from vit_hf.commands.train import main
from vit_hf.publishing.verify import reload_without_package
from vit_hf.training.recipe.yaml_files import read_yaml

TINY = ["--model.image_size", "8", "--model.patch_size", "4", "--model.num_hidden_layers", "1"]


def photos(root: Path, recipe: Path, *words: str) -> int:
    return main([str(recipe), "--data.name", str(root), "--data.train", "{}", *TINY, *words])


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.yaml"
    training = {
        "max_steps": 2,
        "per_device_train_batch_size": 4,
        "output_dir": str(tmp_path / "out"),
        "save_strategy": "no",
    }
    path.write_text(f"model: {{size: ti}}\ndata: {{name: digits}}\ntraining: {json.dumps(training)}\n")
    return path


def test_the_output_folder_is_a_whole_repository(trained: Path):
    names = {path.name for path in trained.iterdir()}
    assert names >= {"config.json", "model.safetensors", "preprocessor_config.json", "README.md", "metrics.json"}
    assert names >= {"recipe.yaml", "modeling_vit.py", "configuration_vit.py", "attention.py"}
    for picture in ("training_curve.png", "confusion_matrix.png", "predictions.png"):
        with Image.open(trained / picture) as image:
            assert min(image.size) > 300


def test_the_card_tells_the_figures_of_the_run(trained: Path):
    card, metrics = ModelCard.load(trained / "README.md"), json.loads((trained / "metrics.json").read_text())
    data: Any = card.data
    results = {result.metric_type: result.metric_value for result in data.eval_results}
    assert results["accuracy"] == pytest.approx(metrics["accuracy"], abs=1e-6)
    assert "| train | 1,215 | `" in card.text
    assert "each by the hash of its content, class by class (seed 0)" in card.text
    for picture in ("training_curve.png", "confusion_matrix.png", "predictions.png", "explained.png"):
        assert f"]({picture})" in card.text
    explanation = metrics["explanation"]
    assert explanation["images"] == 24
    assert f"by the method {explanation['method']}. Of the methods it does best on 24 images" in card.text
    gains = {name: gain["mean"] for name, gain in explanation["gains"].items()}
    assert gains[explanation["method"]] == max(gains.values())


def test_the_saved_recipe_has_the_overrides_in_it(trained: Path):
    recipe = read_yaml(trained / "recipe.yaml")
    assert recipe["training"]["max_steps"] == 3
    assert recipe["model"]["num_hidden_layers"] == 1


def test_training_ends_with_predictions_of_a_fresh_process_and_three_commands(
    training: subprocess.CompletedProcess, trained: Path
):
    assert "fresh process without vit_hf" in training.stdout
    following = training.stdout.split("Next, you could")[1].strip().splitlines()
    assert [Path(line.split()[1]).name for line in following] == ["predict.py", "evaluate.py", "train.py", "train.py"]
    assert str(trained / "examples") in following[0]


def test_a_folder_that_lacks_its_code_does_not_pass_the_fresh_process(trained: Path, tmp_path: Path):
    for path in trained.iterdir():
        if path.is_file() and path.suffix != ".py":
            (tmp_path / path.name).write_bytes(path.read_bytes())
    with pytest.raises(RuntimeError, match="does not load in a fresh process"):
        reload_without_package(tmp_path, [trained / "examples" / "0.png"])


def test_the_same_seed_trains_the_same_model_and_another_seed_another(tmp_path: Path, recipe: Path):
    root, weights = class_folders(tmp_path / "photos", {"cat": 6, "dog": 6}), {}
    for run, seed in (("first", 1), ("again", 1), ("other", 2)):
        out = tmp_path / run
        words = ["--training.seed", str(seed), "--training.output_dir", str(out), "--data.train", "{shift: 0.1}"]
        assert photos(root, recipe, *words) == 0
        weights[run] = (out / "model.safetensors").read_bytes()
    assert weights["first"] == weights["again"]
    assert weights["first"] != weights["other"]


def test_class_folders_give_the_model_its_labels(tmp_path: Path, recipe: Path):
    assert photos(class_folders(tmp_path / "photos", {"cat": 6, "a|b": 6}), recipe) == 0
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["id2label"] == {"0": "a|b", "1": "cat"}
    assert "| a\\|b |" in (tmp_path / "out" / "README.md").read_text()


def test_a_recipe_with_every_augmentation_trains_from_jpegs(tmp_path: Path, recipe: Path):
    root = tmp_path / "photos"
    for label in ("cat", "dog"):
        (root / label).mkdir(parents=True)
        for number in range(10):
            (root / label / f"{number}.jpg").write_bytes(jpeg(photo(30 + number, 40)))
    train = (
        "{random_resized_crop: {scale: [0.3, 1]}, flip: 0.5, randaugment: {n: 2, magnitude: 9, noise: 0.5}, "
        "three_augment: 0.3, color_jitter: 0.2, pad_and_crop: 2, trivialaugment: true, "
        "auto_augment: cifar10, augmix: 3, rotate: 5, erase: 0.5}"
    )
    words = ["--data.train", train, "--data.mix", "{mixup: 0.8, cutmix: 1.0}", "--data.repeats", "2"]
    words += ["--data.cache", str(tmp_path / "cache"), "--training.logging_steps", "1"]
    assert photos(root, recipe, *words) == 0
    history = json.loads((tmp_path / "out" / "metrics.json").read_text())["history"]
    assert all(0 <= log["data_wait"] <= 1 for log in history if "loss" in log)
    card = (tmp_path / "out" / "README.md").read_text()
    assert "randaugment (n 2, magnitude 9, noise 0.5)" in card
    assert "mixup 0.8, cutmix 1" in card
    assert read_yaml(tmp_path / "out" / "recipe.yaml")["data"]["train"]["flip"] == 0.5


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--data.mix", "{{mixup: 0.8}}", "--training.per_device_train_batch_size", "1"],
            "a batch of one image has none",
        ),
        (["--data.train", "{{flup: 0.5}}"], "did you mean 'flip'"),
        (["--training.per_device_train_batch_size", "64"], "larger than the 8 training images"),
        (["--model.patch_size", "3"], "patches of 3"),
        (["--model.pach_size", "3"], "did you mean 'patch_size'"),
        (["--data.mean", "[0.1, 0.2]"], "for 3 channels"),
        (["--data.train_split", "train", "--data.name", "./nowhere/x"], "no file or folder './nowhere/x'"),
        (["--data.name", "{empty}"], "no class folders"),
        (["--optimization.token_merging.r", "-1"], "-1 tokens cannot be merged"),
        (["--optimization.token_merging.r", "[1, 1, 1, 1, 1]"], "5 numbers of tokens are given for"),
        (
            ["--model.position_embedding", "relative_bias", "--optimization.patch_dropout", "0.5"],
            "a bias for each step",
        ),
    ],
)
def test_what_cannot_be_trained_is_one_sentence(tmp_path: Path, recipe: Path, capsys, words: list[str], message: str):
    class_folders(tmp_path / "photos", {"cat": 6, "dog": 6})
    (tmp_path / "empty").mkdir()
    words = [word.format(empty=tmp_path / "empty") for word in words]
    assert photos(tmp_path / "photos", recipe, *words) == 2
    error = capsys.readouterr().err
    assert error.splitlines()[-1].startswith("error: ") or "\nerror: " in f"\n{error}"
    assert message in error
    assert "Traceback" not in error


def test_broken_images_stop_the_training_before_it_begins(tmp_path: Path, recipe: Path, capsys):
    root = class_folders(tmp_path / "photos", {"cat": 6, "dog": 6})
    (root / "cat" / "0.png").write_bytes(b"")
    assert photos(root, recipe) == 2
    assert "0.png: it is empty" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert photos(root, recipe, "--data.on_error", "skip") == 0
    assert "0.png: it is empty" in capsys.readouterr().out
