import math
from pathlib import Path

import pytest

from vit_hf.errors import UserError
from vit_hf.training.recipe.arguments import refuse_unknown_arguments, training_arguments
from vit_hf.training.recipe.recipe import find_recipe, load_recipe
from vit_hf.training.recipe.yaml_files import read_yaml

RECIPE = """
model: {family: vit, size: ti, image_size: 32, patch_size: 4}
data: {name: digits}
training: {learning_rate: 1e-3}
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE)
    return path


def test_a_field_of_the_recipe_wins_over_its_named_size(recipe: Path):
    fields = load_recipe(recipe).model.fields()
    assert (fields["hidden_size"], fields["patch_size"]) == (192, 4)


def test_a_saved_recipe_is_the_same_recipe(recipe: Path, tmp_path: Path):
    loaded = load_recipe(recipe, ["--data.train", "{flip: 0.5}", "--card.license", "mit"])
    loaded.save(tmp_path / "again.yaml")
    assert load_recipe(tmp_path / "again.yaml") == loaded
    assert read_yaml(tmp_path / "again.yaml")["training"] == {"learning_rate": 0.001}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model.pach_size", "4"], r"model: .*'pach_size'; did you mean 'patch_size'"),
        (["--model.size", "tiny"], r"size of vit 'tiny'"),
        (["--model.family", "vitt"], r"did you mean 'vit'"),
        (["--data.nmae", "x"], r"data: .*did you mean 'name'"),
        (["--training.learning_rat", "1"], r"training: .*did you mean 'learning_rate'"),
        (["--trainin.max_steps", "1"], r"'trainin'; did you mean 'training'"),
        (["--data.on_error", "skp"], r"data.on_error: .*'skp'"),
        (["--data.test_fraction", "2"], r"data.test_fraction: .*given: 2"),
    ],
)
def test_a_misspelt_field_or_word_is_answered_with_the_nearest(recipe: Path, words: list[str], message: str):
    with pytest.raises(ValueError, match=message):
        load_recipe(recipe, words)


def test_a_recipe_without_data_says_so(tmp_path: Path):
    (tmp_path / "empty.yaml").write_text("model: {family: vit}")
    with pytest.raises(ValueError, match="data: Field required"):
        load_recipe(tmp_path / "empty.yaml")


def test_a_file_that_is_no_recipe_is_refused(tmp_path: Path):
    (tmp_path / "list.yaml").write_text("- 1")
    with pytest.raises(ValueError, match="is not a recipe"):
        load_recipe(tmp_path / "list.yaml")
    with pytest.raises(FileNotFoundError, match=r"nowhere\.yaml"):
        load_recipe(tmp_path / "nowhere.yaml")


@pytest.mark.parametrize(
    ("training", "sentence"),
    [
        ({"learning_rate": "fast"}, "training.learning_rate='fast' is a str, and has to be float"),
        ({"max_steps": 1.5}, "training.max_steps=1.5 is a float, and has to be int"),
        ({"seed": True}, "training.seed=True is a bool, and has to be int"),
        ({"bf16": "no"}, "training.bf16='no' is a str, and has to be bool"),
    ],
)
def test_a_text_in_place_of_a_number_is_refused_before_the_training(training: dict, sentence: str):
    with pytest.raises(UserError, match=sentence):
        refuse_unknown_arguments(training)


@pytest.mark.parametrize("field", ["id2label", "label2id"])
def test_labels_are_named_by_the_data_and_not_by_the_model(recipe: Path, field: str):
    with pytest.raises(UserError, match=rf"model\.{field}: labels and their names are those of the data; leave it out"):
        load_recipe(recipe, [f"--model.{field}", "{0: cat}"])


def test_numbers_without_end_come_back_from_the_file(recipe: Path, tmp_path: Path):
    load_recipe(recipe, ["--model.temperature", ".inf"]).save(tmp_path / "saved.yaml")
    assert load_recipe(tmp_path / "saved.yaml").model.fields()["temperature"] == math.inf


@pytest.mark.parametrize("place", ["model.from", "data.name"])
def test_an_empty_name_is_not_the_folder_that_one_works_in(recipe: Path, place: str):
    recipe.write_text("data: {name: digits}")
    with pytest.raises(UserError, match=rf"{place} is empty; give"):
        load_recipe(recipe, [f"--{place}", "''"])


def test_whole_numbers_pass_for_others_and_nothing_where_it_may():
    given = {"learning_rate": 1, "num_train_epochs": 2, "save_total_limit": None}
    assert refuse_unknown_arguments(given) == given


@pytest.mark.parametrize(
    ("training", "sentence"),
    [
        ({"lr_scheduler_type": "zigzag", "seed": 1}, "training.lr_scheduler_type='zigzag': zigzag is not a valid"),
        ({"seed": 1, "warmup_steps": -3}, "training.warmup_steps=-3: "),
    ],
)
def test_what_transformers_refuses_is_the_users_to_mend_and_names_the_field(training: dict, sentence: str):
    with pytest.raises(UserError, match=sentence):
        training_arguments(training)


def test_others_learn_the_names_of_places_and_not_where_they_lie(recipe: Path):
    places = {
        "--model.from": "/home/me/encoder",
        "--data.name": "~/photos",
        "--optimization.distillation.teacher": "../teachers/large",
        "--training.output_dir": "outputs/here",
    }
    words = [word for pair in places.items() for word in pair]
    recipe.write_text("data: {name: digits}")
    content = load_recipe(recipe, words)
    said = content.content_for_others()
    assert said["model"]["from"] == "encoder"
    assert said["data"]["name"] == "photos"
    assert said["optimization"]["distillation"]["teacher"] == "large"
    assert said["training"]["output_dir"] == "outputs/here"
    assert content.content()["optimization"]["distillation"]["teacher"] == "../teachers/large"


def test_a_place_that_is_no_secret_stays(recipe: Path):
    words = ["--optimization.distillation.teacher", "you/teacher"]
    assert load_recipe(recipe, words).content_for_others()["optimization"]["distillation"]["teacher"] == "you/teacher"


@pytest.mark.parametrize(
    ("name", "family", "said"),
    [
        (
            "simmim_pretrain",
            "swin",
            "the family is swin; .* of its own: simmim_swin_pretrain, with your data as",
        ),
        ("simmim_swin_pretrain", "vit", "the family is vit; .* recipe of its own: simmim_pretrain, with"),
        ("simmim_pretrain", "timesformer", r"the family is timesformer; .* begin with a recipe of its own\.$"),
        ("photos", "timesformer", "name a size .* of its own: kinetics400_timesformer or moving_digits, with"),
    ],
)
def test_a_recipe_that_is_asked_for_another_family_names_the_recipes_of_that(name: str, family: str, said: str):
    with pytest.raises(UserError, match=said):
        load_recipe(find_recipe(name), ["--model.family", family])
