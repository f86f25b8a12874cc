"""Every recipe that comes with the package can be built, and says where it comes from."""

from pathlib import Path

import pytest
from tiny import TINY

from vit_hf.training.arguments import TrainingArguments
from vit_hf.training.families import build_classifier
from vit_hf.training.recipe import load_recipe
from vit_hf.training.sizes import configuration_folder

SIZES = {name: size for name, size in TINY.items() if name != "num_labels"}
RECIPES = sorted((configuration_folder() / "recipes").glob("*.yaml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_builds_its_model_and_its_training_arguments(path: Path, tmp_path: Path):
    recipe = load_recipe(path, ["--training.output_dir", str(tmp_path)])
    TrainingArguments(**recipe.training)
    # A pretrained model has its own sizes; the fields that are said are those of a config all the same.
    model = build_classifier(recipe.model.family, SIZES | recipe.model.fields(), ["cat", "dog"])
    assert model.config.id2label == {0: "cat", 1: "dog"}


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_opens_with_source_hardware_cost_and_result(path: Path):
    comment = "".join(line for line in path.read_text().splitlines() if line.startswith("#")).lower()
    assert [word for word in ("source", "hardware", "cost", "result") if word not in comment] == []
