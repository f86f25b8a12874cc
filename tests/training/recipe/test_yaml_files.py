from pathlib import Path

import pytest

from vit_hf.errors import UserError
from vit_hf.training.recipe.recipe import load_recipe, resolve_recipe
from vit_hf.training.recipe.yaml_files import parse_yaml, read_yaml

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("data: {name: a}\nmodel: {}\ndata: {name: b}", "'data' stands there a second time, after line 1"),
        ("training:\n  seed: 0\n  max_steps: 2\n  seed: 1", "'seed' stands there a second time, after line 2"),
        ("[" * 3000 + "]" * 3000, "nested more than 100 levels deep"),
        ("\n".join(f"{' ' * level}a:" for level in range(3000)), "nested more than 100 levels deep"),
        (BOMB, "repeat more than 100,000 values"),
        ("a: &a [*a]", "repeat more than 100,000 values"),
        ("a: 2020-13-45", "not valid YAML"),
        ("a: " + "9" * 5000, "not valid YAML"),
        ("a: !!python/object:os.system {}", "not valid YAML"),
        ("a: [", "not valid YAML"),
        ("a: \x00", "not valid YAML"),
    ],
    ids=lambda text: text[:20],
)
def test_what_cannot_be_meant_is_a_sentence_with_its_place(text: str, sentence: str):
    with pytest.raises(UserError, match=sentence) as refusal:
        parse_yaml(text, "recipe.yaml")
    assert str(refusal.value).startswith("recipe.yaml is not valid YAML")


def test_a_key_may_come_again_in_another_section_and_win_over_one_that_is_merged():
    text = "a: &a {seed: 0, name: x}\nb:\n  <<: *a\n  seed: 1"
    assert parse_yaml(text, "here") == {"a": {"seed": 0, "name": "x"}, "b": {"seed": 1, "name": "x"}}


def test_two_keys_on_one_line_are_two_all_the_same():
    with pytest.raises(UserError, match="'seed' stands there a second time"):
        parse_yaml("{seed: 0, seed: 1}", "here")


def test_bytes_that_are_no_text_are_a_sentence(tmp_path: Path):
    (tmp_path / "recipe.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="is no text in UTF-8"):
        read_yaml(tmp_path / "recipe.yaml")


def test_a_section_of_another_kind_of_name_is_unknown():
    with pytest.raises(UserError, match="here: There is no section 5; there are card, data, model"):
        resolve_recipe({5: {}, "data": {"name": "digits"}}, {}, "here")


def test_a_section_that_is_named_and_left_empty_takes_a_field(tmp_path: Path):
    (tmp_path / "recipe.yaml").write_text("data:\ntraining: {seed: 3}\n")
    loaded = load_recipe(tmp_path / "recipe.yaml", ["--data.name", "digits"])
    assert (loaded.data.name, loaded.training) == ("digits", {"seed": 3})


@pytest.mark.parametrize("flag", ["--.x", "--data.", "--a..b"])
def test_a_path_without_a_name_in_it_is_refused(tmp_path: Path, flag: str):
    (tmp_path / "recipe.yaml").write_text("data: {name: digits}")
    with pytest.raises(UserError, match=f"{flag} names no field"):
        load_recipe(tmp_path / "recipe.yaml", [flag, "1"])
