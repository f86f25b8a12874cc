"""Recipes that are wrong in random ways, up to the run with its data read and its model built."""

import contextlib
import io
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

import yaml
from fuzz.judging import Verdict, judge
from fuzz.mutations import changed_fields, damaged
from fuzz.truth import changes, leaves, names_one_of, names_value, snapshot, untrue_claims, values_at

from vit_hf.commands.cli import EXPECTED
from vit_hf.data.settings import DataSettings
from vit_hf.families import FAMILIES
from vit_hf.runs.setup import prepare
from vit_hf.training.recipe.arguments import argument_names
from vit_hf.training.recipe.optimization import OptimizationSettings
from vit_hf.training.recipe.recipe import Recipe, load_recipe
from vit_hf.training.recipe.shipped import own_recipes
from vit_hf.training.recipe.yaml_files import parse_yaml

# Sizes of a moment's length in the place of those that a recipe has.
SMALL = {
    "image_size": 8,
    "patch_size": 4,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
}
SMALL_SWIN = {
    "image_size": 16,
    "patch_size": 2,
    "embed_dim": 8,
    "depths": [1, 1],
    "num_heads": [1, 2],
    "window_size": 2,
}
KNOWN: dict[str, Sequence[str]] = {
    "data": [*DataSettings.model_fields],
    "optimization": [*OptimizationSettings.model_fields],
    "training": argument_names(),
}


def tamed(content: dict[str, Any], sources: str) -> dict[str, Any]:
    """A shipped recipe on a handful of images, with a model that is built in no time.

    sources: from the folder of the case on, so that a part of it is no large folder of this machine.
    """
    model, data, training = content["model"], content["data"], content["training"]
    family = model.get("family", "vit")
    data["name"] = f"{sources}/{'films' if family == 'timesformer' else 'photos'}"
    for split in ("test_split", "train_split", "validation_split"):
        data.pop(split, None)
    if "from" in model:
        model["from"] = f"{sources}/vit"
    elif model.get("size") != "auto":
        model.pop("size", None)
        model |= SMALL_SWIN if family == "swin" else SMALL
        if "masking" in content.get("optimization", {}):
            content["optimization"]["masking"]["patch_size"] = 4
    if "batch_size" in content.get("optimization", {}):
        content["optimization"]["batch_size"] = 8
    training |= {"output_dir": "out", "per_device_train_batch_size": 4, "num_train_epochs": 2}
    for name in ("dataloader_num_workers", "bf16"):
        training.pop(name, None)
    return content


def recipe_case(seed: int, sources: Path, folder: Path) -> Iterator[Verdict]:
    """A field or more of a shipped recipe, or letters of its text; what is taken becomes a prepared run."""
    random = Random(seed)
    shipped = own_recipes()
    text = Path(shipped[random.choice(sorted(shipped))]).read_text(encoding="utf-8")
    content = tamed(parse_yaml(text, "a shipped recipe"), os.path.relpath(sources, folder))
    paths: list[tuple[str, ...]] = []
    if random.random() < 0.8:
        known = {**KNOWN, "model": FAMILIES[content["model"].get("family", "vit")].config_fields()}
        content, paths = changed_fields(content, random, stops=0.1, known=known if random.random() < 0.5 else None)
        flow = json.dumps(content).replace("NaN", ".nan").replace("Infinity", ".inf")  # which YAML reads too
        written = flow.encode()
    else:
        written = damaged(yaml.safe_dump(content, sort_keys=False).encode(), random)
    path = folder / "recipe.yaml"
    path.write_bytes(written)
    names = {place for trail in paths for place in (trail[1:] or trail)}

    def check(said: str) -> str | None:
        bare = said.replace(str(folder), "")
        if paths and not names_one_of(bare, names) and not names_value(bare, values_at(content, paths)):
            return f"names none of {names}: {said[:300]!r}"
        return untrue_claims(said, leaves(content)) if paths else None

    yield judge("recipe", seed, lambda: prepared(path, content if paths else None), check)


def prepared(path: Path, content: Any) -> str | None:
    """What is wrong with a run that was taken, or with what one that was refused left in its folder."""
    before, there = snapshot(path.parent), Path.cwd()
    with contextlib.chdir(path.parent), contextlib.redirect_stdout(io.StringIO()):
        try:
            recipe = load_recipe(path)
            run = prepare(recipe)
        except EXPECTED as error:
            if changed := changes(before, snapshot(path.parent)):
                raise AssertionError(f"{changed} and says {error}") from error
            raise
    assert Path.cwd() == there
    return None if content is None else fault_of_run(run, recipe, content)


def fault_of_run(run: Any, recipe: Recipe, content: dict[str, Any]) -> str | None:
    """What a recipe says of the model is what the model is."""
    config = run.model.config
    for name, value in (content.get("model") or {}).items():
        if name in ("family", "size", "task", "from") or value is None:
            continue
        held = getattr(config, name)
        if held != value and held != tuple(value if isinstance(value, list) else [value]):
            return f"model.{name} is {held!r}, and the recipe says {value!r}"
    return None
