import json
from pathlib import Path

import pytest
from made_images import class_folders

import vit_hf
from vit_hf.runs.begin import as_overrides, begin, family_named, name_of_data


def test_a_folder_takes_the_recipe_for_photos_and_leaves_its_model_under_its_name(tmp_path: Path):
    photos = class_folders(tmp_path / "my photos", {"cat": 1})
    recipe = begin(str(photos), None, {})
    assert recipe.data.name == str(photos)
    assert recipe.training["output_dir"] == "outputs/my photos"
    assert recipe.model.source is None


def test_with_a_model_it_is_fine_tuned(tmp_path: Path):
    recipe = begin(str(class_folders(tmp_path / "photos", {"cat": 1})), "somebody/vit", {})
    assert recipe.model.source == "somebody/vit"
    assert recipe.optimization.layer_decay < 1


def test_what_is_said_wins(tmp_path: Path):
    given = {"training.output_dir": "here", "data.name": "there", "model.image_size": 16}
    recipe = begin(str(tmp_path), None, given)
    assert (recipe.training["output_dir"], recipe.data.name, recipe.model.fields()["image_size"]) == (
        "here",
        "there",
        16,
    )


def test_a_recipe_goes_by_its_name_and_by_its_file(tmp_path: Path):
    file = tmp_path / "mine.yml"
    file.write_text("data: {name: digits}\nmodel: {hidden_size: 8}")
    assert begin("digits", None, {}).training["output_dir"] == "outputs/digits"
    assert begin(str(file), None, {}).model.fields()["hidden_size"] == 8


def test_a_data_set_of_the_hub_is_data_too():
    recipe = begin("somebody/flowers", None, {})
    assert (recipe.data.name, recipe.training["output_dir"]) == ("somebody/flowers", "outputs/flowers")


@pytest.mark.parametrize("given", ["digitz", "no/such/folder", "nothing.csv"])
def test_what_is_neither_is_refused_with_the_nearest_recipe(given: str):
    with pytest.raises(ValueError, match=f"Nor is '{given}' a folder, a table or an archive here"):
        begin(given, None, {})
    with pytest.raises(ValueError, match="did you mean 'digits'"):
        begin("digitz", None, {})


@pytest.mark.parametrize(
    ("given", "name"), [("photos/", "photos"), (".", "here"), ("labels.csv", "labels"), ("you/flowers", "flowers")]
)
def test_a_run_is_called_after_its_data(tmp_path: Path, monkeypatch, given: str, name: str):
    (tmp_path / "here" / "photos").mkdir(parents=True)
    (tmp_path / "here" / "labels.csv").touch()
    monkeypatch.chdir(tmp_path / "here")
    assert name_of_data(given) == name


def test_fields_find_their_sections():
    given = {"learning_rate": 1e-3, "validation_fraction": 0.1, "layer_decay": 0.7, "hidden_size": 32, "size": "ti"}
    assert as_overrides({**given, "data": {"mean": [0.5]}}) == {
        "training.learning_rate": 1e-3,
        "data.validation_fraction": 0.1,
        "optimization.layer_decay": 0.7,
        "model.hidden_size": 32,
        "model.size": "ti",
        "data.mean": [0.5],
    }


def test_a_name_of_two_sections_is_asked_about_and_a_misspelt_one_corrected():
    with pytest.raises(ValueError, match=r"name='x' could be of data or card; write data=\{'name': ...\}"):
        as_overrides({"name": "x"})
    with pytest.raises(ValueError, match="did you mean 'learning_rate'"):
        as_overrides({"lerning_rate": 1})


def test_a_function_call_trains_saves_and_gives_the_run(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    class_folders(tmp_path / "photos", {"cat": 12, "dog": 12})
    sizes = {"image_size": 8, "patch_size": 4, "hidden_size": 16, "num_hidden_layers": 1, "intermediate_size": 32}
    batches = {"per_device_train_batch_size": 4, "use_cpu": True}
    run = vit_hf.train("photos", max_steps=2, **batches, **sizes)
    assert run.metrics["images"] == len(run.tested)
    assert run.model.config.hidden_size == 16
    assert (tmp_path / run.folder / "README.md").is_file()
    again = vit_hf.train("photos", model=run.folder, max_steps=1, output_dir="second", **batches)
    assert again.model.config.hidden_size == 16
    assert (tmp_path / "second" / "split.jsonl").is_file()


@pytest.mark.parametrize(
    ("config", "family"),
    [
        ({"model_type": "swin_hf"}, "swin"),
        ({"model_type": "swinv2"}, "swin"),
        ({"model_type": "timesformer"}, "timesformer"),
        ({"architecture": "swin_tiny_patch4_window7_224"}, "swin"),
        ({"architecture": "deit_small_patch16_224"}, "vit"),
        ({"model_type": "dinov2"}, "vit"),
    ],
)
def test_the_family_is_that_of_the_model_to_begin_with(tmp_path: Path, config: dict, family: str):
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert begin(str(tmp_path), str(tmp_path), {}).model.family == family
    assert begin(str(tmp_path), str(tmp_path), {"model.family": "vit"}).model.family == "vit"
    assert family_named({}, tmp_path) == family


def test_a_field_of_the_familys_own_goes_with_the_model(tmp_path: Path):
    (tmp_path / "config.json").write_text('{"model_type": "timesformer"}')
    assert as_overrides({"num_frames": 4}, family_named({}, tmp_path)) == {"model.num_frames": 4}
    (tmp_path / "config.json").write_text("no JSON")
    assert family_named({}, tmp_path) == "vit"
