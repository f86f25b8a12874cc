"""--overwrite, and what a run leaves in its folder: all of one run, or of the one before, whenever it is killed."""

import json
import signal
from fnmatch import fnmatch
from pathlib import Path

import pytest
from made_images import class_folders
from processes import MOMENTS, ended, started_command

from vit_hf.commands.evaluate import main as evaluate
from vit_hf.commands.train import main
from vit_hf.finished_folder import OF_A_RUN
from vit_hf.publishing.publish import collect
from vit_hf.runs import begin
from vit_hf.runs.convert import convert
from vit_hf.weight_hash import hash_named_in, weight_hash

TINY = {"image_size": 8, "patch_size": 4, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
OF_THE_RUN_UNDER_WAY = ("metrics.jsonl", ".*", "checkpoint-*")


@pytest.fixture(autouse=True)
def no_fresh_process(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("vit_hf.runs.train.reload_as_stranger", lambda folder, examples: [])


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    photos = class_folders(tmp_path / "photos", {"cat": 8, "dog": 7})
    training = {"max_steps": 3, "per_device_train_batch_size": 4, "output_dir": str(tmp_path / "out")}
    model, data = {**TINY, "intermediate_size": 32}, {"name": str(photos)}
    path = tmp_path / "recipe.yaml"
    path.write_text(json.dumps({"model": model, "data": data, "training": {**training, "save_strategy": "no"}}))
    return path


def contents(folder: Path) -> dict[str, bytes]:
    """But for the log of the run under way, checkpoints and hidden files."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    named = {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
    return {name: one for name, one in named.items() if not any(fnmatch(name, kind) for kind in OF_THE_RUN_UNDER_WAY)}


def assert_one_run(folder: Path, seed: int) -> None:
    """Weights, card, figures and recipe are of the run with this seed, and may be published."""
    named = hash_named_in((folder / "README.md").read_text())
    assert named == weight_hash(folder) == json.loads((folder / "metrics.json").read_text())["weights_sha256"]
    assert f"seed: {seed}" in (folder / "recipe.yaml").read_text()
    collect(folder, "you/model", "main")


def test_a_finished_model_is_refused_before_the_data_is_looked_at_and_gives_way_where_it_may(
    tmp_path: Path, recipe: Path, capsys
):
    out = tmp_path / "out"
    assert main([str(recipe), "--training.seed", "1"]) == 0
    assert_one_run(out, 1)
    for name in contents(out):
        assert name.endswith(".py") or any(fnmatch(name.partition("/")[0], kind) for kind in OF_A_RUN), name
    (out / "notes.txt").write_text("mine")
    (out / "mistakes.png").write_bytes(b"of the first run")
    before = contents(out)
    for words in ([], ["--resume"], ["--data.name", str(tmp_path / "nowhere")]):
        capsys.readouterr()
        assert main([str(recipe), "--training.seed", "2", *words]) == 2
        assert f"{out} holds a finished model (config.json, model.safetensors)" in capsys.readouterr().err
    with pytest.raises(ValueError, match="--overwrite"):
        begin.train(recipe)
    assert contents(out) == before
    assert main([str(recipe), "--training.seed", "2", "--overwrite"]) == 0
    assert_one_run(out, 2)
    assert (out / "notes.txt").read_text() == "mine"
    assert contents(out).get("mistakes.png") != b"of the first run"
    assert begin.train(recipe, training={"seed": 3}, overwrite=True).folder == out
    assert_one_run(out, 3)


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_kill_after_the_last_step_leaves_the_first_run_or_the_second_whole(tmp_path: Path, recipe: Path, moment: str):
    out = tmp_path / "out"
    words = [str(recipe), "--training.save_strategy", "steps", "--training.save_steps", "3"]
    assert main([*words, "--training.seed", "1"]) == 0
    first = contents(out)
    assert main([*words, "--training.seed", "2", "--training.output_dir", str(tmp_path / "whole")]) == 0
    process = started_command(*words, "--training.seed", "2", "--overwrite", dies=moment)
    with ended(process):
        pass
    assert process.exitcode == -signal.SIGKILL
    if moment in ("weights saved", "report written"):
        assert contents(out) == first
        assert_one_run(out, 1)
    else:
        collect(out, "you/model", "main")  # which finds the whole of it
        assert_one_run(out, 2)
    assert main([*words, "--training.seed", "2", "--resume"]) == 0
    assert_one_run(out, 2)
    assert weight_hash(out) == weight_hash(tmp_path / "whole")
    assert {*contents(out)} == {*contents(tmp_path / "whole")}


def test_a_report_that_fails_leaves_the_weights_without_the_card_of_another_run(
    tmp_path: Path, recipe: Path, monkeypatch: pytest.MonkeyPatch, capsys
):
    out = tmp_path / "out"
    assert main([str(recipe), "--training.seed", "1"]) == 0
    first = weight_hash(out)
    with monkeypatch.context() as patch:
        patch.setattr("vit_hf.runs.results.draw_report", lambda *arguments: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            main([str(recipe), "--training.seed", "2", "--overwrite"])
    assert f"The trained weights are in {out}, without a card." in capsys.readouterr().out
    assert weight_hash(out) not in (None, first)
    assert not (out / "README.md").exists()
    assert "seed: 1" not in (out / "recipe.yaml").read_text()


def test_weights_of_another_run_under_a_card_are_not_published(tmp_path: Path, recipe: Path):
    for seed in ("1", "2"):
        assert main([str(recipe), "--training.seed", seed, "--training.output_dir", str(tmp_path / seed)]) == 0
    weights = (tmp_path / "2" / "model.safetensors").read_bytes()
    (tmp_path / "1" / "model.safetensors").write_bytes(weights)
    with pytest.raises(ValueError, match=r"README.md and metrics.json of .* are of other weights than lie beside them"):
        collect(tmp_path / "1", "you/model", "main")
    (tmp_path / "1" / "metrics.json").unlink()
    with pytest.raises(ValueError, match=r"README.md of .* is of other weights than lie beside it"):
        collect(tmp_path / "1", "you/model", "main")
    collect(tmp_path / "2", "you/model", "main")


def test_an_evaluation_takes_the_place_of_no_training_and_of_no_other_unasked(tmp_path: Path, recipe: Path, capsys):
    out = tmp_path / "out"
    assert main([str(recipe)]) == 0
    before = contents(out)
    words = [str(out), "--split", "all"]
    assert evaluate([*words, "--output", str(out), "--overwrite"]) == 2
    assert f"{out} holds a model (config.json, model.safetensors), whose own figures stay" in capsys.readouterr().err
    for place in ("evaluation", "figures.json"):
        there = ["--output", str(tmp_path / place)]
        assert evaluate([*words, *there]) == 0
        assert evaluate([*words, *there]) == 2
        assert "is there already; name another --output, or say --overwrite" in capsys.readouterr().err
        assert evaluate([*words, *there, "--overwrite"]) == 0
    assert contents(out) == before


def test_a_conversion_takes_the_place_of_another_alone_and_where_it_may(tmp_path: Path, saved: Path, saved_later: Path):
    dest = tmp_path / "converted"
    convert(str(saved), dest, "transformers")
    first = weight_hash(dest)
    assert hash_named_in((dest / "README.md").read_text()) == first
    with pytest.raises(ValueError, match="say --overwrite"):
        convert(str(saved_later), dest, "transformers")
    assert weight_hash(dest) == first
    convert(str(saved_later), dest, "transformers", overwrite=True)
    assert hash_named_in((dest / "README.md").read_text()) == weight_hash(dest) != first
    (dest / "metrics.json").write_text("{}")  # somebody trained on there
    with pytest.raises(ValueError, match="holds something else than an earlier conversion"):
        convert(str(saved), dest, "transformers", overwrite=True)
