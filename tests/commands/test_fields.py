"""Every field of a recipe, as `vit-hf fields` lists it: read off the settings themselves."""

import dataclasses

import pytest
import transformers

from vit_hf.commands.cli import main
from vit_hf.data.augment.augmentations import AUGMENTATIONS
from vit_hf.data.settings import DataSettings
from vit_hf.families import FAMILIES
from vit_hf.training.recipe.fields import docstring_meanings, every_field, fields_of, find_fields
from vit_hf.training.recipe.recipe import load_recipe

KNOWN = {field.path: field for field in every_field()}


def test_every_field_of_every_section_is_there():
    for name in DataSettings.model_fields:
        assert f"data.{name}" in KNOWN
    for name in AUGMENTATIONS:
        assert f"data.train.{name}" in KNOWN
    for family in FAMILIES.values():
        assert {f"model.{name}" for name in family.config_fields()} <= KNOWN.keys()
    theirs = {f"training.{field.name}" for field in dataclasses.fields(transformers.TrainingArguments) if field.init}
    assert theirs <= KNOWN.keys()
    assert {"model.from", "data.mix.cutmix", "optimization.ema.decay", "card.license"} <= KNOWN.keys()


@pytest.mark.parametrize("family", ["vit", "swin", "timesformer"])
def test_every_field_of_ours_says_what_it_means(family):
    # Those of transformers' own configurations and arguments mean what transformers says; an entry of data.train says
    # what its fields do.
    silent = [
        field.path
        for section in ("model", "data", "optimization", "card")
        for field in fields_of(section, family)
        if not field.meaning and not field.path.startswith("data.train.")
    ]
    assert silent == ["model.transformers_version"]


@pytest.mark.parametrize(
    ("path", "type", "default", "meaning"),
    [
        ("training.learning_rate", "number", "5e-05", "The initial learning rate for the optimizer"),
        ("training.output_dir", "text", "outputs", "The output directory"),
        ("data.test_fraction", "number (at least 0, below 1)", "0.2", "of the data, where"),
        ("data.mean", "list of numbers", "[0.5, 0.5, 0.5]", "of each channel"),
        ("data.name", "text", "", "digits"),
        ("data.train.flip", "number (probability) or fields", "not set", "Mirror left and right"),
        ("data.train.auto_augment", "imagenet | cifar10 | svhn (policy) or fields", "not set", "Two operations"),
        ("data.train.randaugment.n", "whole number (at least 1)", "2", ""),
        ("optimization.freeze", "none | trunk | list of texts", "none", "nothing, the trunk"),
        ("optimization.ema", "fields", "not set", "A moving average"),
        ("model.patch_size", "whole number | list of whole numbers", "16", "one number or [height, width]"),
        ("model.position_bias", "table | continuous", "table", '"table", a number for each step'),
    ],
)
def test_a_field_has_its_type_default_and_meaning(path, type, default, meaning):
    found = KNOWN[path]
    assert (found.type, found.default) == (type, default)
    assert found.meaning.startswith(meaning)


def test_choices_are_the_words_that_a_field_takes_and_no_others():
    assert KNOWN["model.patch_embedding"].choices == ("linear", "conv")
    assert KNOWN["data.check_finite"].choices == ("true", "false")
    assert KNOWN["optimization.optimizer"].choices == ("lamb", "lion", "muon")
    assert KNOWN["optimization.freeze"].choices == KNOWN["data.cache"].choices == ()


class Documented:
    """A class of two: colons in prose are no fields.

    depth, width: of all layers,
        of which there are many. And more.
    ratio: of two
    """


class Inheriting(Documented):
    """Below it.

    width: another
    size (`int`, *optional*):
        Of an image.
    """


def test_meanings_come_from_docstrings_the_own_before_the_inherited():
    assert docstring_meanings(Inheriting) == {
        "width": "another",
        "size": "Of an image.",
        "depth": "of all layers, of which there are many. And more.",
        "ratio": "of two",
    }


@pytest.mark.parametrize(
    ("words", "first"),
    [
        ("learning_rate", "training.learning_rate"),
        ("data.mea", "data.mean"),
        ("lr", "training.learning_rate"),
        ("learning_rat", "training.learning_rate"),
        ("lerning_rate", "training.learning_rate"),
        ("training.lr", "training.learning_rate"),
        ("cutmix", "data.mix.cutmix"),
    ],
)
def test_a_field_is_found_by_its_name_a_part_of_it_or_the_nearest(words, first):
    assert first in [field.path for field in find_fields(words)]


def test_sections_and_families_are_listed_alone(capsys):
    assert main(["fields", "data.mix"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in said if line[0] != " "] == [
        f"data.mix.{name}" for name in ("mixup", "cutmix", "probability", "switch")
    ]
    assert main(["fields", "model", "--family", "swin"]) == 0
    said = capsys.readouterr().out
    assert "model.window_size: " in said
    assert "model.num_register_tokens" not in said
    assert "swin: t, s, b, l, v2_t" in said


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["qqqqqq"], "There is no field 'qqqqqq'"),
        (["model", "--family", "swim"], "did you mean 'swin'?"),
    ],
)
def test_what_is_not_there_is_a_sentence(words, sentence, capsys):
    assert main(["fields", *words]) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flag", "answer"),
    [
        ("--training.lr", "did you mean 'learning_rate'?"),
        ("--training.epochs", "did you mean 'num_train_epochs'?"),
        ("--training.wd", "did you mean 'weight_decay'?"),
        ("--training.batch_size", "did you mean 'per_device_train_batch_size'?"),
        ("--optimization.bs", "did you mean 'batch_size'?"),
        ("--model.dim", "did you mean 'hidden_size'?"),
        ("--model.depth", "did you mean 'num_hidden_layers'?"),
        ("--trainig.lr", "did you mean 'training'?"),
        ("--lr", "as --section.field value, here --training.learning_rate."),
        ("--qqq", "a field of the recipe is given as --section.field value"),
    ],
)
def test_other_libraries_names_and_misspelt_ones_are_answered_with_ours(flag, answer, tmp_path):
    recipe = tmp_path / "mine.yaml"
    recipe.write_text("data: {name: digits}")
    with pytest.raises(ValueError, match="There is no|not understood") as refused:
        load_recipe(recipe, [flag, "1"])
    assert answer in str(refused.value)
