import pytest

from vit_hf.training.recipe.yaml_files import apply_overrides, parse_overrides


def test_values_are_yaml_and_paths_are_dotted():
    words = [
        "--training.max_steps",
        "40",
        "--data.name=photos/",
        "--model.image_size",
        "[32, 64]",
        "--training.learning_rate",
        "1e-3",
    ]
    assert parse_overrides(words) == {
        "training.max_steps": 40,
        "data.name": "photos/",
        "model.image_size": [32, 64],
        "training.learning_rate": 0.001,
    }


def test_no_is_a_word_and_false_is_false():
    words = ["--training.save_strategy", "no", "--data.check_finite", "false"]
    assert parse_overrides(words) == {"training.save_strategy": "no", "data.check_finite": False}


def test_an_override_sets_its_field_and_leaves_the_recipe_it_came_from():
    recipe = {"data": {"name": "digits", "train": {"flip": 0.5}}}
    changed = apply_overrides(recipe, {"data.train.flip": 0.1, "card.license": "mit"})
    assert changed == {"data": {"name": "digits", "train": {"flip": 0.1}}, "card": {"license": "mit"}}
    assert recipe["data"]["train"]["flip"] == 0.5


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--max_steps", "4"], "--section.field value"),
        (["training.max_steps", "4"], "--section.field value"),
        (["--training.max_steps"], "needs a value"),
        (["--data.train", "{flip: "], "not valid YAML"),
    ],
)
def test_words_that_set_nothing_are_refused(words: list[str], message: str):
    with pytest.raises(ValueError, match=message):
        parse_overrides(words)


def test_a_value_has_no_fields():
    with pytest.raises(ValueError, match="'name' is 'digits', which has no fields"):
        apply_overrides({"data": {"name": "digits"}}, {"data.name.first": 1})
